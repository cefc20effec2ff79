//! What hostile guests and callers try against a whole host, and what it must still do meanwhile.

use anyhow::{Result, ensure};
use http::Method;
use serde_json::json;
use std::time::Duration;
use suite::host::component;
use suite::world::World;

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// (5) A credential goes nowhere that the provider's configuration does not name, whatever a named host answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_handed_back_and_carries_no_credential_on() -> Result<()> {
    let world = World::start_with(|spec| {
        // Both ends of the redirect are allowed to the agent without a credential; that must not help.
        for agent in &mut spec.agents {
            agent.egress = spec.providers[0].hosts.clone();
        }
    })
    .await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let elsewhere = format!("{}/take", world.bed.saas.issuer().replace("127.0.0.1", "localhost"));
    for code in [301, 302, 303, 307, 308] {
        for to in ["/take", elsewhere.as_str()] {
            let url = format!("{}/redirect?code={code}&to={}", world.bed.saas.issuer(), encoded(to));
            let path = format!("send?provider=google-calendar&scope=calendar.read&url={}", encoded(&url));
            let reply = world.caller.probe("probe", &alice.token, &path).await?;
            ensure!(reply.text().starts_with(&format!("{code} ")), "{code} to {to}: {}", reply.text());
        }
    }
    ensure!(world.stats().await?["taken"].as_array().is_some_and(Vec::is_empty), "a redirect was followed");
    Ok(())
}

/// (3) What an instance remembers, the next one does not: of the same user, of another, at once or one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn no_invocation_sees_the_memory_of_another() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let (alice, bob) = (world.token("alice").await?, world.token("bob").await?);
    for round in 0..20 {
        // The two halves are joined in the guest, so the request itself does not hold what is looked for.
        let (a, b) = (format!("remem{round}ber-"), "me-please");
        let query = format!("a={a}&b={b}&pages=64");
        let filled = world.caller.probe("probe", &alice, &format!("fill-scan?{query}")).await?;
        ensure!(filled.text().parse::<u64>().is_ok_and(|found| found > 0), "the scan is blind: {}", filled.text());
        let looks = [&alice, &bob, &alice, &bob].map(|token| {
            let (caller, token, path) = (world.caller.clone(), token.clone(), format!("scan?a={a}&b={b}"));
            tokio::spawn(async move { caller.probe("probe", &token, &path).await })
        });
        for look in looks {
            let found = look.await??.text();
            ensure!(found == "0", "round {round}: {found} pages of an earlier invocation");
        }
    }
    Ok(())
}

/// A guest that is refused in a loop neither fills the trail nor keeps it from others.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_floods_the_trail_keeps_nobody_from_working() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    world.host.deploy("hello", &component("hello")?, "tests.example")?;
    let (mallory, bob) = (world.token("mallory").await?, world.token("bob").await?);
    let floods = [(); 8].map(|()| {
        let (caller, token) = (world.caller.clone(), mallory.clone());
        tokio::spawn(async move { caller.probe("probe", &token, "flood?count=100000&provider=nobody").await })
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..20 {
        let reply = world.caller.invoke("hello", &bob, &json!({})).await?;
        ensure!(reply.status == 200, "bob was kept from working: {} {}", reply.status, reply.text());
    }
    for flood in floods {
        flood.abort();
    }
    let records = world.host.json(&["audit", "--agent", "probe", "--limit", "10000"])?;
    let records = records.as_array().map_or(0, Vec::len);
    ensure!(records < 8 * 200, "one user's guests wrote {records} records");
    Ok(())
}

/// Anybody can call the provider's way back with any `state`: counted, not written one by one.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_do_not_fill_the_trail() -> Result<()> {
    let world = World::start().await?;
    for n in 0..400 {
        let path = format!("/oauth2/callback/google-calendar?state=guess-{n}&code=x");
        let reply = world.caller.send(Method::GET, &path, None, &[], "").await?;
        ensure!(reply.status.is_client_error(), "{} {}", reply.status, reply.text());
    }
    let records = world.host.json(&["audit", "--action", "consent.complete", "--limit", "10000"])?;
    let records = records.as_array().map_or(0, Vec::len);
    ensure!((1..200).contains(&records), "400 guesses of a stranger left {records} records");
    Ok(())
}

/// (7) Written down, or not done: while the disk takes nothing, nothing is released, granted or revoked, and every caller
/// is told to come back. Then it goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_is_full_nothing_is_released() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let url = format!("{}/calendar/v3/calendars/primary/events", world.bed.saas.issuer());
    let send = format!("send?provider=google-calendar&scope=calendar.read&url={}", encoded(&url));
    let sent = world.caller.probe("probe", &alice.token, &send).await?;
    ensure!(sent.text().starts_with("200 "), "{}", sent.text());
    let requests = async || anyhow::Ok(world.stats().await?["requests"].clone());
    let before = requests().await?;

    world.host.disk_is_full(true)?;
    // The first to come may find out; its guest is told so, and everybody after it gets 503.
    let first = world.caller.probe("probe", &alice.token, &send).await?;
    ensure!(first.status == 503 || !first.text().contains("\n200 ") && !first.text().starts_with("200 "), "{first:?}");
    for _ in 0..5 {
        let refused = world.caller.probe("probe", &alice.token, &send).await?;
        ensure!(refused.status == 503, "{} {}", refused.status, refused.text());
        ensure!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    }
    let grants = world.caller.send(Method::GET, "/grants", Some(&alice.token), &[], "").await?.json();
    let id = grants[0]["id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/grants/{id}");
    let revoked = world.caller.send(Method::DELETE, &path, Some(&alice.token), &[], "").await?;
    ensure!(revoked.status == 503, "{} {}", revoked.status, revoked.text());
    ensure!(requests().await? == before, "something was sent that was not written down");

    world.host.disk_is_full(false)?;
    world
        .until("the host goes on", async || {
            Ok(world.caller.probe("probe", &alice.token, &send).await?.text().starts_with("200 "))
        })
        .await?;
    let grants = world.caller.send(Method::GET, "/grants", Some(&alice.token), &[], "").await?.json();
    ensure!(grants[0]["id"] == id.as_str(), "the grant stands: {grants}");
    let gaps = world.host.json(&["audit", "--action", "audit.gap"])?;
    ensure!(gaps.as_array().is_some_and(|gaps| !gaps.is_empty()), "the trail says that records are missing");
    Ok(())
}
