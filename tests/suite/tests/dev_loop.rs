//! `attache dev` as an author has it: open the page, invoke, agree, see the event, save, see the change.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use suite::browser::{Browser, Page};
use suite::host::{binary, component};
use suite::html;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What an author sees. Ends with its child, which is killed when dropped.
struct Loop {
    lines: Lines<BufReader<ChildStdout>>,
    /// Everything that was printed.
    seen: String,
    _child: Child,
}

impl Loop {
    fn start(folder: &Path) -> Result<Self> {
        let mut child = Command::new(binary()?)
            .args(["dev", "--component", "agent.wasm", "--name", "calendar", "--port", "0"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.join("log"))?)
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("an output")?).lines();
        Ok(Self { lines, seen: String::new(), _child: child })
    }

    /// Reads on until a line contains this.
    async fn until(&mut self, what: &str) -> Result<String> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.seen += &format!("{line}\n");
                if line.contains(what) {
                    return Ok(line);
                }
            }
            anyhow::bail!("it ended")
        };
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        read.unwrap_or_else(|_| anyhow::bail!("not said in a minute"))
            .with_context(|| format!("waiting for `{what}` after:\n{}", self.seen))
    }
}

/// Saves as editors do: a new file in place of the old one.
fn save(folder: &Path, agent: &str) -> Result<()> {
    fs::copy(component(agent)?, folder.join("saved"))?;
    Ok(fs::rename(folder.join("saved"), folder.join("agent.wasm"))?)
}

/// The link whose address contains this.
fn link(page: &Page, what: &str) -> Result<String> {
    let links = html::links(&page.url, &page.body);
    let found = links.iter().find(|link| link.as_str().contains(what));
    Ok(found.with_context(|| format!("no link to `{what}` at {}: {}", page.url, page.body))?.to_string())
}

/// Invokes from the start page as this user, with what the page suggests.
async fn invoke(browser: &mut Browser, start: &str, user: &str) -> Result<Page> {
    let page = browser.get(&format!("{start}/?user={user}")).await?;
    let form = page.form("/invoke")?;
    let (_, text) = page.body.split_once("<textarea").context("a box")?;
    let (text, _) = text.split_once("</textarea>").context("its end")?;
    let (_, text) = text.split_once('>').context("its text")?;
    let body = text.replace("&quot;", "\"");
    browser.submit(&form, &[("body", &body)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_invokes_agrees_sees_the_event_saves_and_sees_the_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    save(folder.path(), "calendar")?;
    let mut dev = Loop::start(folder.path())?;
    let start = dev.until("open ").await?;
    let start = start.split_whitespace().last().context("an address")?.to_owned();
    dev.until("deployed `calendar` sha256:").await?;

    for user in ["alice", "bob"] {
        let mut browser = Browser::new();
        let asked = invoke(&mut browser, &start, user).await?;
        ensure!(asked.body.contains("The agent answered 403"), "{}", asked.body);
        let sign_in = browser.get(&link(&asked, "/consent/")?).await?;
        let question = browser.get(&link(&sign_in, &format!("/authorize/as?user={user}"))?).await?;
        ensure!(question.body.contains("you, in development"), "{}", question.body);
        let provider = browser.submit(&question.form("/consent/")?, &[]).await?;
        let done = browser.get(&link(&provider, &format!("/authorize/as?user={user}"))?).await?;
        ensure!(done.status == 200 && done.body.contains("may now use your Development calendar"), "{}", done.body);
        let answer = invoke(&mut browser, &start, user).await?;
        ensure!(answer.body.contains("The agent answered 2") && answer.body.contains("Review"), "{}", answer.body);
        let line = dev.until("credential.send    POST ").await?;
        ensure!(line.contains(user) && line.contains(" allowed"), "it is told what the agent asked for: {line}");
    }

    save(folder.path(), "hello")?;
    dev.until("deployed `calendar` sha256:").await?;
    let answer = invoke(&mut Browser::new(), &start, "alice").await?;
    ensure!(answer.body.contains("Hello, alice. I am `calendar`."), "{}", answer.body);

    // What does not compile is said, and the last good version stays.
    fs::write(folder.path().join("agent.wasm"), "not a component")?;
    let mut log = String::new();
    for _ in 0..600 {
        log = fs::read_to_string(folder.path().join("log"))?;
        if log.contains("not deployed") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(log.contains("not deployed"), "{log}");
    ensure!(!log.contains('\u{1b}'), "what is no terminal gets no colours: {log}");
    let answer = invoke(&mut Browser::new(), &start, "alice").await?;
    ensure!(answer.body.contains("Hello, alice. I am `calendar`."), "{}", answer.body);
    Ok(())
}
