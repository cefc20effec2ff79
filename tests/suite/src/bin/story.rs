//! The story, told once on real parts: `cargo xtask demo`. Exits 0 only if every step held.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, stdin, stdout};
use suite::browser::{Browser, Page};
use suite::host::{Answer, HostProcess};
use suite::testbed::TestBed;

#[tokio::main]
async fn main() -> Result<()> {
    let mut story = Story::default();
    story.tell("An operator starts the host. An author deploys `calendar`; a stranger deploys `rogue`.");
    let bed = TestBed::start().await?;
    let host = HostProcess::start(&bed).await?;
    host.deploy("calendar", "atelier")?;
    host.deploy("rogue", "stranger")?;
    let agents = host.attache_json(&["agents", "list"])?;
    let names: Vec<&str> = agents.as_array().into_iter().flatten().filter_map(|agent| agent["name"].as_str()).collect();
    ensure!(names.contains(&"calendar") && names.contains(&"rogue"), "the directory is {agents}");
    story.held(&format!("the directory knows {} agents", names.len()));

    story.tell("Alice asks `calendar` for a meeting. She has not agreed to anything yet.");
    let alice = bed.idp.sign_in("alice").await?;
    let meeting = json!({
        "title": "Tea with Bob", "start": "2026-11-24T09:00:00Z", "end": "2026-11-24T10:00:00Z", "api": bed.saas.issuer(),
    });
    let consent = consent_url(&host.invoke("calendar", &alice, &meeting).await?)?;
    story.held(&format!("the answer says where to agree: {consent}"));

    story.tell("Mallory gets hold of that link and opens it.");
    let page = open(&consent, "mallory").await?.1;
    ensure!(!page.status.is_success(), "mallory sees {}", page.body);
    ensure!(grants(&host)?.is_empty(), "something was stored");
    story.held(&format!("Mallory is turned away ({}), and nothing is stored for anybody", page.status));

    story.tell("Alice opens it herself, sees who wants what, and agrees.");
    agree(&consent, "alice").await?;
    ensure!(grants(&host)?.len() == 1, "there is no grant");
    story.held("one grant: Alice's, for `calendar`");

    story.tell("The next call goes through. The agent never sees a token.");
    let answer = host.invoke("calendar", &alice, &meeting).await?;
    ensure!(answer.body["scheduled"]["creator"] == "alice", "{answer:?}");
    story.held(&format!("scheduled at {}, past her stand-up", answer.body["scheduled"]["start"]["dateTime"]));

    story.tell("Bob asks the same agent. Alice's grant is not his.");
    let bob = bed.idp.sign_in("bob").await?;
    let consent = consent_url(&host.invoke("calendar", &bob, &meeting).await?)?;
    agree(&consent, "bob").await?;
    let answer = host.invoke("calendar", &bob, &meeting).await?;
    ensure!(answer.body["scheduled"]["creator"] == "bob", "{answer:?}");
    story.held("Bob agrees for himself, and gets a calendar of his own");

    story.tell("Alice tries `rogue`, which wants her token.");
    let target = json!({"api": bed.saas.issuer(), "elsewhere": bed.saas.url.join("take")?.as_str()});
    let answer = host.invoke("rogue", &alice, &target).await?;
    let report = answer.body.as_array().with_context(|| format!("no report: {answer:?}"))?;
    ensure!(report.len() >= 20, "only {} attempts", report.len());
    for finding in report {
        ensure!(finding["got"] == "nothing", "{finding}");
    }
    no_token_in(&bed, &answer.body).await?;
    story.held(&format!("{} attempts, and each got nothing", report.len()));

    story.tell("The trail says who did what, for whom.");
    let records = host.attache_json(&["audit"])?;
    let text = records.to_string();
    for word in ["alice", "bob", "mallory", "calendar", "rogue"] {
        ensure!(text.contains(word), "`{word}` is not in the audit trail");
    }
    no_token_in(&bed, &records).await?;
    story.held(&format!("{} records, and no token in any", records.as_array().map_or(0, Vec::len)));

    story.tell("Alice takes her grant back.");
    let grants = grants(&host)?;
    let hers = grants.iter().find(|grant| grant.to_string().contains("alice")).context("no grant of alice")?;
    host.attache(&["grants", "revoke", hers["id"].as_str().context("a grant without an id")?])?;
    consent_url(&host.invoke("calendar", &alice, &meeting).await?)?;
    let stats = bed.saas.control("stats", json!({})).await?;
    ensure!(stats["revocations"].as_array().is_some_and(|all| !all.is_empty()), "the provider was not told: {stats}");
    story.held("the next call asks again, and the provider was told");

    println!("\nEvery step held ({} of {}).", story.held, story.told);
    if stdin().is_terminal() && stdout().is_terminal() {
        println!("Your turn: open {} and sign in as `alice` or `bob`. Press Enter to end.", host.url);
        tokio::task::spawn_blocking(|| stdin().read_line(&mut String::new())).await??;
    }
    Ok(())
}

#[derive(Default)]
struct Story {
    told: u32,
    held: u32,
}

impl Story {
    fn tell(&mut self, sentence: &str) {
        self.told += 1;
        println!("\n{}. {sentence}", self.told);
    }

    fn held(&mut self, what: &str) {
        self.held += 1;
        println!("   ok: {what}");
    }
}

fn consent_url(answer: &Answer) -> Result<String> {
    ensure!(answer.body["type"] == "urn:attache:problem:consent-required", "not a question for consent: {answer:?}");
    ensure!(answer.body["session_uri"].is_string() && answer.body["expires_at"].is_u64(), "incomplete: {answer:?}");
    Ok(answer.body["authorization_url"].as_str().context("no authorization_url")?.to_owned())
}

/// Opens a link in a fresh browser, signed in at the identity provider as this user.
async fn open(link: &str, user: &str) -> Result<(Browser, Page)> {
    let mut browser = Browser::new();
    let page = browser.get(link).await?;
    let page = browser.as_user(page, user).await?;
    Ok((browser, page))
}

async fn agree(link: &str, user: &str) -> Result<()> {
    let (mut browser, page) = open(link, user).await?;
    for word in ["calendar", "atelier", "sha256:", "calendar.write"] {
        ensure!(page.body.contains(word), "the consent page does not say `{word}`: {}", page.body);
    }
    let form = page.form("/consent/")?;
    let page = browser.submit(&form, &[]).await?;
    let page = browser.as_user(page, user).await?;
    ensure!(page.status.is_success(), "not stored: {} {}", page.status, page.body);
    Ok(())
}

fn grants(host: &HostProcess) -> Result<Vec<Value>> {
    let grants = host.attache_json(&["grants", "list"])?;
    grants.as_array().cloned().with_context(|| format!("not a list: {grants}"))
}

/// Every opaque token that the third party ever issued, looked for in what should hold none.
async fn no_token_in(bed: &TestBed, value: &Value) -> Result<()> {
    let text = value.to_string();
    let tokens = bed.saas.control("tokens", json!({})).await?;
    let tokens = tokens.as_array().context("no tokens")?;
    ensure!(!tokens.is_empty(), "the third party issued nothing, so this shows nothing");
    for token in tokens {
        let value = token["value"].as_str().context("a token without a value")?;
        ensure!(!text.contains(value), "a token of {} is in it", token["user"]);
    }
    Ok(())
}
