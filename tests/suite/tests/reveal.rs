//! A credential as bytes: only for a component that imports `reveal` and was granted it, and the trail says so.

use anyhow::{Context as _, Result, ensure};
use suite::host::{AgentSpec, component};
use suite::world::{SCOPES, World};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_revealed_only_where_granted_and_the_trail_names_it() -> Result<()> {
    let world = World::start_with(|spec| {
        spec.providers[0].name = "calendar".into();
        spec.agents = [("reader", true), ("peeper", false)]
            .map(|(name, reveal)| AgentSpec {
                name: name.into(),
                providers: vec![("calendar".into(), SCOPES.map(str::to_owned).to_vec())],
                claims: Vec::new(),
                egress: Vec::new(),
                return_urls: Vec::new(),
                reveal,
            })
            .into();
    })
    .await?;
    for agent in ["reader", "peeper"] {
        world.host.deploy(agent, &component("reveal-probe")?, "tests.example")?;
    }
    let mut alice = world.person("alice").await?;

    let refused = world.caller.probe("peeper", &alice.token, "").await?;
    ensure!(refused.status == 403, "not granted: {} {}", refused.status, refused.text());
    ensure!(refused.problem().as_deref() == Some("reveal-not-granted"), "{}", refused.text());

    world.grant(&mut alice, "reader", "").await?;
    let revealed = world.caller.probe("reader", &alice.token, "").await?.text();
    ensure!(world.canaries().await?.contains(&revealed), "the token that the third party issued: {revealed}");

    let trail = world.host.json(&["audit", "--action", "credential.reveal"])?;
    let uses = trail.as_array().context("a list")?;
    ensure!(uses.len() == 1, "one use, and none of `peeper`: {trail}");
    let used = &uses[0];
    ensure!(used["agent"]["name"] == "reader" && used["user"]["subject"] == "alice", "{used}");
    ensure!(used["decision"] == "allowed" && used["resource"] == "calendar", "{used}");
    ensure!(!trail.to_string().contains(&revealed), "the trail names the use, not the bytes");
    Ok(())
}
