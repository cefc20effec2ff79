//! Bad input at the host's own door: every error says what to do next and leaks nothing.

use anyhow::{Result, ensure};
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use suite::call::Reply;
use suite::host::component;
use suite::operator::Operator;
use suite::world::World;

/// A problem reply of this status and type.
fn problem(reply: &Reply, status: u16, slug: &str) -> Result<()> {
    ensure!(
        reply.status == status && reply.problem().as_deref() == Some(slug),
        "{status} {slug} was expected, not {} {}",
        reply.status,
        reply.text()
    );
    ensure!(reply.headers.get("content-type").is_some_and(|t| t == "application/problem+json"), "{:?}", reply.headers);
    let body = reply.json();
    ensure!(body["title"].is_string() && body["status"] == status, "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_says_what_to_do_and_leaks_nothing() -> Result<()> {
    let world = World::start_with(|spec| {
        spec.extra = "\n[engine]\ndeadline = \"2s\"\n".into();
    })
    .await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    world.host.deploy("hello", &component("hello")?, "tests.example")?;
    let alice = world.token("alice").await?;
    tokens(&world, &alice).await?;
    agents(&world, &alice).await?;
    components(&world).await?;
    guests(&world, &alice).await?;
    providers(&world, &alice).await
}

async fn tokens(world: &World, alice: &str) -> Result<()> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts: Vec<&str> = alice.split('.').collect();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let mut forged = parts[2].to_owned();
    forged.replace_range(0..1, if forged.starts_with('A') { "B" } else { "A" });
    let bad = [
        ("nothing like a token", "nonsense".to_owned()),
        ("alg none", format!("{none}.{}.", parts[1])),
        ("wrongly signed", format!("{}.{}.{forged}", parts[0], parts[1])),
        ("expired", world.token_with(json!({ "user": "alice", "expires_in": -3600 })).await?),
        (
            "another audience",
            world.token_with(json!({ "user": "alice", "audience": "https://elsewhere.test/" })).await?,
        ),
        ("oversized", format!("{alice}{}", "A".repeat(20_000))),
    ];
    for (what, token) in &bad {
        let reply = world.caller.invoke("probe", token, &json!({})).await?;
        ensure!(
            reply.status == 401 || (*what == "oversized" && reply.status == 431),
            "{what}: {} {}",
            reply.status,
            reply.text()
        );
        if reply.status == 401 {
            let challenge = reply.headers.get("www-authenticate").map(|v| v.to_str().unwrap_or("").to_owned());
            ensure!(
                challenge.as_deref().is_some_and(|c| c.starts_with("Bearer") && c.contains("resource_metadata=")),
                "{what}: {challenge:?}"
            );
            // One sentence outside; the reason is in the trail.
            ensure!(!reply.text().contains("alice") && !reply.text().contains("signature"), "{what}: {}", reply.text());
        }
    }
    let none = world.caller.send(Method::POST, "/agents/probe/invocations", None, &[], "").await?;
    ensure!(none.status == 401, "no token: {}", none.status);
    let metadata =
        world.caller.send(Method::GET, "/.well-known/oauth-protected-resource/agents/probe", None, &[], "").await?;
    ensure!(metadata.json()["authorization_servers"][0] == world.bed.idp.issuer(), "RFC 9728: {}", metadata.text());
    let reasons = world.host.json(&["audit", "--action", "user.reject"])?;
    ensure!(
        reasons
            .as_array()
            .is_some_and(|r| r.iter().any(|e| e["reason"].as_str().is_some_and(|s| s.contains("expired")))),
        "the trail says why: {reasons}"
    );
    Ok(())
}

async fn agents(world: &World, alice: &str) -> Result<()> {
    problem(&world.caller.invoke("unheard-of", alice, &json!({})).await?, 404, "unknown-agent")?;
    problem(&world.caller.invoke("NOT_A%20NAME", alice, &json!({})).await?, 404, "unknown-agent")?;
    world.host.attache(&["agents", "suspend", "hello"])?;
    problem(&world.caller.invoke("hello", alice, &json!({})).await?, 403, "suspended")?;
    world.host.attache(&["agents", "resume", "hello"])?;
    let reply = world.caller.invoke("hello", alice, &json!({})).await?;
    ensure!(reply.status == 200, "resumed: {} {}", reply.status, reply.text());
    let big = vec![b'x'; 16 * 1024 * 1024];
    let reply = world.caller.send(Method::POST, "/agents/probe/invocations/echo-body", Some(alice), &[], big).await?;
    problem(&reply, 413, "too-large")?;
    let header = [("attache-return-url", "https://evil.example/")];
    let reply = world.caller.send(Method::POST, "/agents/probe/invocations", Some(alice), &header, "").await?;
    ensure!(reply.status == 400, "a return URL that is not allowed: {} {}", reply.status, reply.text());
    Ok(())
}

async fn components(world: &World) -> Result<()> {
    let dir = world.host.dir();
    // The smallest core module: magic number and version.
    std::fs::write(dir.join("core.wasm"), b"\0asm\x01\0\0\0")?;
    std::fs::write(dir.join("text.wasm"), "not wasm at all")?;
    for (file, needle) in [("core.wasm", "core module"), ("text.wasm", "component")] {
        let error =
            world.host.attache(&["deploy", file, "--name", "broken", "--publisher", "x.example", "--yes"]).unwrap_err();
        ensure!(error.to_string().contains(needle), "{file}: {error}");
    }
    let taken = world.host.deploy("probe", &component("hello")?, "thief.example").unwrap_err().to_string();
    ensure!(taken.contains("tests.example") || taken.contains("publisher"), "a name belongs to its publisher: {taken}");
    let missing = world.host.attache(&["agents", "suspend", "unheard-of"]).unwrap_err().to_string();
    ensure!(missing.contains("unheard-of"), "{missing}");
    Ok(())
}

async fn guests(world: &World, alice: &str) -> Result<()> {
    problem(&world.caller.probe("probe", alice, "trap").await?, 502, "agent-failed")?;
    problem(&world.caller.probe("probe", alice, "no-response").await?, 502, "agent-failed")?;
    problem(&world.caller.probe("probe", alice, "grow").await?, 502, "agent-failed")?;
    let start = Instant::now();
    problem(&world.caller.probe("probe", alice, "loop").await?, 504, "deadline")?;
    ensure!(start.elapsed() > Duration::from_millis(1900), "the loop ran until its deadline");
    let reply = world.caller.probe("probe", alice, "").await?;
    ensure!(reply.status == 200, "the host is unharmed: {} {}", reply.status, reply.text());
    Ok(())
}

async fn providers(world: &World, alice: &str) -> Result<()> {
    let denied = world.caller.probe("probe", alice, "acquire?provider=unheard-of").await?.text();
    ensure!(denied.contains("Denied") && denied.contains("not bound"), "{denied}");
    let wider = world.caller.probe("probe", alice, "acquire?provider=google-calendar&scope=admin").await?.text();
    ensure!(wider.contains("Denied") && wider.contains("admin"), "{wider}");
    // The identity provider is down: known keys still verify, and an unknown one is refused in time.
    world.bed.idp.control("settings", json!({ "down": true })).await?;
    let reply = world.caller.probe("probe", alice, "").await?;
    ensure!(reply.status == 200, "known keys outlive the provider: {} {}", reply.status, reply.text());
    world.bed.idp.control("settings", json!({ "down": false })).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_door_is_for_operators() -> Result<()> {
    let world = World::start().await?;
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &str| anyhow::Ok(std::fs::metadata(world.host.data().join(path))?.permissions().mode() & 0o777);
    ensure!(mode("")? == 0o700, "the data folder is for one account");
    for file in ["attache.sock", "attache.db", "host.key", "keyring.toml"] {
        ensure!(mode(file)? == 0o600, "{file} is {:o}", mode(file)?);
    }
    for path in ["/v1/agents", "/v1/grants", "/v1/audit", "/v1/status"] {
        let outside = world.caller.send(Method::GET, path, None, &[], "").await?;
        ensure!(outside.status == 404, "{path} is not served to the outside: {}", outside.status);
        let inside = Operator::new(&world.host.data()).send(Method::GET, path, "").await?;
        ensure!(inside.status == 200, "{path}: {} {}", inside.status, inside.text());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotated_in_the_middle_are_followed() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("hello", &component("hello")?, "tests.example")?;
    let before = world.token("alice").await?;
    ensure!(world.caller.invoke("hello", &before, &json!({})).await?.status == 200);
    world.bed.idp.rotate(false).await?;
    let after = world.token("alice").await?;
    ensure!(
        world.caller.invoke("hello", &after, &json!({})).await?.status == 200,
        "a new key is fetched when it is met"
    );
    ensure!(world.caller.invoke("hello", &before, &json!({})).await?.status == 200, "the old one is still published");
    Ok(())
}
