//! On behalf of the user who calls: token exchange (RFC 8693), JWT bearer (RFC 7523), identity assertions (ID-JAG).

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use suite::flows::{self, Written};
use suite::testbed::ATTACHE_SECRET;
use suite::world::World;

const ASK: &str = "provider=saas&flow=behalf&scope=calendar.read";

async fn with(behalf: &str) -> Result<World> {
    let lines = format!("consent = \"none\"\non_behalf_of = {{ {behalf} }}");
    flows::world(vec![Written::saas("saas", "attache", &lines)]).await
}

/// What the third party was last asked for.
async fn asked(world: &World) -> Result<Value> {
    let stats = world.stats().await?;
    stats["exchanges"].as_array().and_then(|all| all.last().cloned()).with_context(|| format!("an exchange: {stats}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_own_token_is_exchanged_once_and_each_user_gets_their_own() -> Result<()> {
    let world = with("grant = \"token-exchange\"").await?;
    let (alice, bob) = (world.token("alice").await?, world.token("bob").await?);
    let hers = world.about(&alice, ASK).await?;
    assert_eq!((&hers["user"], &hers["act"]), (&json!("alice"), &Value::Null), "nobody is said to act for her");
    let exchange = asked(&world).await?;
    assert_eq!(exchange["subject_token"], alice.as_str(), "the very token that she called with");
    assert_eq!(exchange["subject_token_type"], "urn:ietf:params:oauth:token-type:jwt");
    assert_eq!(exchange["actor_token"], Value::Null);
    assert_eq!(world.about(&alice, ASK).await?["hash"], hers["hash"], "once for both calls");
    assert_eq!(world.about(&bob, ASK).await?["user"], "bob");
    assert_eq!(world.stats().await?["exchanges"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn audience_resource_and_type_reach_the_provider() -> Result<()> {
    let world = with("grant = \"token-exchange\", requested_token_type = \"access_token\"").await?;
    let alice = world.token("alice").await?;
    let query = "provider=saas&flow=behalf&scope=tasks.read&audience=https://tasks.test/&resource=https://tasks.test/";
    assert_eq!(world.about(&alice, query).await?["audience"], "https://tasks.test/");
    let exchange = asked(&world).await?;
    assert_eq!(
        (&exchange["audience"], &exchange["resource"]),
        (&json!("https://tasks.test/"), &json!("https://tasks.test/"))
    );
    assert_eq!(exchange["scope"], "tasks.read");
    assert_eq!(exchange["requested_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_own_token_makes_it_the_actor_before_those_who_acted_earlier() -> Result<()> {
    let world =
        with("grant = \"token-exchange\", actor = \"machine-to-machine\", actor_scopes = [\"calendar.read\"]").await?;
    let alice = world.token_with(json!({"user": "alice", "claims": {"act": {"sub": "earlier"}}})).await?;
    let about = world.about(&alice, ASK).await?;
    let issuer = world.bed.saas.issuer();
    assert_eq!(about["act"], json!({"sub": "attache", "iss": issuer, "act": {"sub": "earlier"}}));
    assert_eq!(about["user"], "alice");
    let exchange = asked(&world).await?;
    assert_eq!(exchange["actor_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(world.tokens_of("client_credentials").await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_of_the_hosts_names_the_workload_and_its_digest_as_the_actor() -> Result<()> {
    let world = with("grant = \"token-exchange\", actor = \"workload-jwt\"").await?;
    let alice = world.token("alice").await?;
    let about = world.about(&alice, ASK).await?;
    assert_eq!(about["user"], "alice");
    assert_eq!(about["act"], json!({"sub": "spiffe://attache.test/agent/probe", "iss": world.host.url}));
    let exchange = asked(&world).await?;
    let actor = flows::claims(&exchange["actor_token"])?;
    assert_eq!(actor["urn:attache:digest"], world.probe_digest()?.as_str(), "{actor}");
    assert_eq!(actor["aud"], world.bed.saas.issuer().as_str(), "{actor}");
    let life = actor["exp"].as_u64().zip(actor["iat"].as_u64()).map(|(end, start)| end - start);
    ensure!(life.is_some_and(|life| life <= 60), "it is used at once: {actor}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_too_many_actors_reaches_no_provider() -> Result<()> {
    let world = with("grant = \"token-exchange\", actor = \"workload-jwt\"").await?;
    let chain = |depth: usize| {
        (0..depth).fold(json!({"sub": "first"}), |inner, n| json!({"sub": format!("a{n}"), "act": inner}))
    };
    let long = world.token_with(json!({"user": "alice", "claims": {"act": chain(11)}})).await?;
    let text = world.ask(&long, &format!("acquire?{ASK}")).await?;
    ensure!(text.contains("more than 10 actors"), "{text}");
    assert_eq!(world.bed.saas.requests("token").await?, 0);
    let short = world.token_with(json!({"user": "alice", "claims": {"act": chain(8)}})).await?;
    assert_eq!(world.about(&short, ASK).await?["user"], "alice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_is_an_assertion_for_the_jwt_bearer_grant() -> Result<()> {
    let world = with("grant = \"jwt-bearer\"").await?;
    let (alice, bob) = (world.token("alice").await?, world.token("bob").await?);
    assert_eq!(world.about(&alice, ASK).await?["user"], "alice");
    let exchange = asked(&world).await?;
    assert_eq!(exchange["assertion"], alice.as_str());
    assert_eq!(world.about(&bob, ASK).await?["user"], "bob");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn entras_way_says_what_the_assertion_is_for() -> Result<()> {
    let lines = "vendor = \"MicrosoftOauth2\"\non_behalf_of = { grant = \"jwt-bearer\" }";
    let world = flows::world(vec![Written::saas("saas", "attache-post", lines)]).await?;
    let alice = world.token("alice").await?;
    assert_eq!(world.about(&alice, ASK).await?["user"], "alice");
    assert_eq!(asked(&world).await?["requested_token_use"], "on_behalf_of");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_assertion_is_obtained_at_one_provider_and_redeemed_at_the_other() -> Result<()> {
    let corp =
        Written::oauth2("corp", "issuer = \"IDP\"\nclient_id = \"attache\"\nclient_secret = { file = \"corp.key\" }")
            .file("corp.key", ATTACHE_SECRET);
    let lines = "consent = \"none\"\non_behalf_of = { grant = \"id-jag\", identity_provider = \"corp\", \
                 subject_token_type = \"access_token\" }";
    let world = flows::world(vec![corp, Written::saas("saas", "attache", lines)]).await?;
    let alice = world.token("alice").await?;
    let about = world.about(&alice, ASK).await?;
    assert_eq!(about["user"], "alice");
    assert_eq!(world.about(&alice, ASK).await?["hash"], about["hash"]);
    let stats = world.bed.idp.control("stats", json!({})).await?;
    let obtained = stats["exchanges"].as_array().context("a list")?;
    assert_eq!(obtained.len(), 1, "one for both calls");
    assert_eq!(obtained[0]["requested_token_type"], "urn:ietf:params:oauth:token-type:id-jag");
    assert_eq!(obtained[0]["audience"], world.bed.saas.issuer().as_str());
    assert_eq!(obtained[0]["subject_token"], alice.as_str());
    let redeemed = flows::claims(&asked(&world).await?["assertion"])?;
    assert_eq!((&redeemed["iss"], &redeemed["sub"]), (&json!(world.bed.idp.issuer()), &json!("alice")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_provider_does_not_take_asks_for_a_new_sign_in_and_gets_nothing() -> Result<()> {
    let world = with("grant = \"token-exchange\"").await?;
    let nobody_there = world.token_with(json!({"user": "carol"})).await?;
    let text = world.ask(&nobody_there, &format!("acquire?{ASK}")).await?;
    ensure!(text.contains("SignInRequired"), "{text}");
    Ok(())
}
