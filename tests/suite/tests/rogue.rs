//! `rogue` with a grant of its own: a handle to try things with, and still nothing of anybody else's, nor the bytes of
//! its own token.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use suite::host::component;
use suite::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_rogue_with_a_grant_of_its_own_gets_nothing_more() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("calendar", &component("calendar")?, "acme.example")?;
    // The grant is asked for by an earlier version under the same name, of the same publisher.
    world.host.deploy("rogue", &component("probe")?, "somebody-else.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "rogue", "acquire?provider=team-calendar&scope=calendar.read").await?;
    world.host.deploy("rogue", &component("rogue")?, "somebody-else.example")?;

    let saas = world.bed.saas.issuer();
    let ask = json!({ "api": saas, "provider": "google-calendar", "own": "team-calendar", "elsewhere": format!("{}/take", world.bed.idp.issuer()) });
    let reply = world.caller.invoke("rogue", &alice.token, &ask).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    let report = reply.json();
    let findings = report.as_array().context("a list")?;
    ensure!(findings.len() >= 20, "{} attempts", findings.len());
    for finding in findings {
        ensure!(finding["got"] == "nothing", "rogue got something: {finding}");
    }
    let without = findings.iter().filter(|f| f["why"].as_str().is_some_and(|w| w.contains("no handle"))).count();
    ensure!(without == 0, "{without} attempts had no handle to try it with: {report:#}");
    for canary in world.canaries().await? {
        ensure!(!reply.text().contains(&canary), "a token stands in the report");
    }
    ensure!(
        world.stats().await?["taken"].as_array().is_some_and(Vec::is_empty),
        "nothing was sent where a thief waits"
    );
    for trap in ["guess-a-handle", "use-a-dropped-handle"] {
        let path = format!("/agents/rogue/invocations/{trap}");
        let headers = [("content-type", "application/json")];
        let reply = world.caller.send(http::Method::POST, &path, Some(&alice.token), &headers, ask.to_string()).await?;
        ensure!(reply.status.is_server_error(), "{trap}: {} {}", reply.status, reply.text());
    }
    Ok(())
}
