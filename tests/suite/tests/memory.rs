//! No secret bytes in guest memory.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use suite::host::component;
use suite::world::World;

/// The scan must be able to find what is there; else finding nothing says nothing.
async fn count(world: &World, token: &str, path: &str) -> Result<usize> {
    let reply = world.caller.probe("probe", token, path).await?;
    let text = reply.text();
    text.lines().next().and_then(|l| l.parse().ok()).with_context(|| format!("a count, not {} {text}", reply.status))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_not_in_guest_memory_while_it_is_used() -> Result<()> {
    let world = World::start().await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let canaries = world.canaries().await?;
    ensure!(!canaries.is_empty(), "the third party knows which tokens it issued");

    for encoding in ["plain", "percent", "hex", "base64", "base64url", "json", "header", "slow"] {
        let url = format!("{}/echo?encoding={encoding}", world.bed.saas.issuer());
        let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        for canary in &canaries {
            let (a, b) = canary.split_at(canary.len() / 2);
            let path = format!("send-scan?provider=google-calendar&scope=calendar.read&a={a}&b={b}&url={url}");
            let reply = world.caller.probe("probe", &alice.token, &path).await?;
            let text = reply.text();
            ensure!(text.starts_with("0\n"), "{encoding}: the token is in guest memory: {text}");
            ensure!(
                text.lines().nth(1).is_some_and(|l| l.starts_with("200 ")),
                "{encoding}: the echo answered: {text}"
            );
            for form in forms(canary) {
                ensure!(!text.contains(&form), "{encoding}: the token came back as `{form}`");
            }
        }
    }
    // The user's own token, which the host verified, is not there either.
    let (a, b) = alice.token.split_at(alice.token.len() / 2);
    ensure!(
        count(&world, &alice.token, &format!("scan?a={a}&b={b}")).await? == 0,
        "the user's token is in guest memory"
    );
    // And the scan does find what is there.
    ensure!(count(&world, &alice.token, "fill-scan?a=ca&b=nary&pages=2").await? > 0, "the scan is blind");
    Ok(())
}

/// How the echo may spell a token.
fn forms(canary: &str) -> Vec<String> {
    use base64::Engine as _;
    let hex: String = canary.bytes().map(|b| format!("{b:02x}")).collect();
    let mut forms = vec![canary.to_owned(), hex.clone(), hex.to_uppercase()];
    for pad in ["", "x", "xx"] {
        let padded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(format!("{pad}{canary}"));
        // The characters that depend on the token alone.
        forms.push(padded[4..padded.len() - 4].to_owned());
    }
    forms
}
