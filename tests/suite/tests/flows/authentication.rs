//! How the host proves which client it is, without a secret (RFC 7523 §2.2).

use anyhow::{Context as _, Result, ensure};
use attache::jose::{SigningAlgorithm, SigningKey};
use serde_json::json;
use suite::flows::{self, Written};

fn written(name: &str, algorithm: &str, pem: &str) -> Written {
    let lines = format!(
        "issuer = \"SAAS\"\nclient_id = {name:?}\nclient_authentication = \"private_key_jwt\"\n\
         client_key = {{ file = \"{name}.pem\", algorithm = {algorithm:?} }}"
    );
    Written::oauth2(name, &lines).file(&format!("{name}.pem"), pem)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_known_by_its_key_with_each_algorithm_and_by_no_other_key() -> Result<()> {
    let mut tables = Vec::new();
    let mut clients = json!({});
    for (name, algorithm) in [
        ("key-es256", SigningAlgorithm::Es256),
        ("key-rs256", SigningAlgorithm::Rs256),
        ("key-ps256", SigningAlgorithm::Ps256),
        ("key-stolen", SigningAlgorithm::Es256),
    ] {
        let key = SigningKey::generate(algorithm)?;
        let pem = key.to_pem()?;
        tables.push(written(name, algorithm.as_str(), pem.expose_text().context("text")?));
        let known = if name == "key-stolen" { SigningKey::generate(algorithm)? } else { key };
        clients[name] = json!({
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm.as_str(),
            "jwks": { "keys": [known.public_jwk()] },
        });
    }
    let world = flows::world(tables).await?;
    world.bed.saas.control("clients", clients).await?;
    let token = world.token("alice").await?;
    for name in ["key-es256", "key-rs256", "key-ps256"] {
        let about = world.about(&token, &format!("provider={name}&flow=machine&scope=calendar.read")).await?;
        assert_eq!(about["client"], name);
    }
    let text = world.ask(&token, "acquire?provider=key-stolen&flow=machine&scope=calendar.read").await?;
    ensure!(text.contains("ProviderRefused") && text.contains("invalid_client"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_known_by_its_key_gets_a_users_grant_and_renews_it() -> Result<()> {
    let key = SigningKey::generate(SigningAlgorithm::Es256)?;
    let pem = key.to_pem()?;
    let world = flows::world(vec![written("key", "ES256", pem.expose_text().context("text")?)]).await?;
    let client = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256",
        "jwks": { "keys": [key.public_jwk()] },
    });
    world.bed.saas.control("clients", json!({ "key": client })).await?;
    world.saas_settings(flows::short_lived()).await?;
    let mut alice = world.person("alice").await?;
    let query = "provider=key&scope=calendar.read";
    world.agree(&mut alice, query).await?;
    world.until_expired().await?;
    let about = world.about(&alice.token, query).await?;
    assert_eq!((&about["user"], &about["client"]), (&json!("alice"), &json!("key")));
    assert_eq!(world.tokens_of("refresh_token").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_word_for_its_workload_is_a_client_assertion() -> Result<()> {
    let lines = "issuer = \"SAAS\"\nclient_id = \"attache-workload\"\nclient_authentication = \"workload_jwt\"";
    let world = flows::world(vec![Written::oauth2("saas", lines)]).await?;
    let token = world.token("alice").await?;
    let about = world.about(&token, "provider=saas&flow=machine&scope=calendar.read").await?;
    assert_eq!(about["client"], "attache-workload");
    let stats = world.stats().await?;
    let said = &stats["assertions"][0];
    assert_eq!(said["sub"], "spiffe://attache.test/agent/probe");
    assert_eq!(said["iss"], world.host.url.as_str());
    assert_eq!(said["urn:attache:digest"], world.probe_digest()?.as_str());
    ensure!(stats["fetched"][&world.host.url].as_u64() >= Some(1), "checked by the host's discovery document: {stats}");
    Ok(())
}
