//! The test bed with a host on it, left running: `cargo xtask up`. Prints an env file and stays until it is ended.

use anyhow::Result;
use suite::clients::{key, variables};
use suite::host::component;
use suite::testbed::ATTACHE_SECRET;
use suite::world::World;
use tokio::signal::unix::{SignalKind, signal};

/// What whoever tries this host from outside may do, whatever they call their workload. Never on a real host.
const WORKLOADS: &str = r#"
[workloads."*"]
any_provider = true
authorizer = "default"
trust_user_ids = true
"#;

#[tokio::main]
async fn main() -> Result<()> {
    let world = World::start_with(|spec| spec.extra.push_str(WORKLOADS)).await?;
    for agent in ["hello", "calendar", "rogue"] {
        world.host.deploy(agent, &component(agent)?, "example")?;
    }
    println!("ATTACHE_URL={}", world.host.url);
    println!("ATTACHE_CONFIG={}", world.host.dir().join("attache.toml").display());
    println!("ATTACHE_DATA_DIR={}", world.host.data().display());
    println!("# For boto3 and the SDKs of Bedrock AgentCore; the key may do everything.");
    for (name, value) in variables(&world, &key(&world, "up", "operator", "*")?)? {
        println!("{name}={value}");
    }
    println!("# Their credential providers: the third party, whose client `attache` has this secret.");
    println!("TEST_CLIENT_SECRET={ATTACHE_SECRET}");
    println!("TEST_IDP={}", world.bed.idp.issuer());
    println!("TEST_SAAS={}", world.bed.saas.issuer());
    println!("# A user's token: curl -s \"$TEST_TOKEN_URL\" -d '{{\"user\":\"alice\",\"expires_in\":3600}}'");
    println!("TEST_TOKEN_URL={}/__test/token", world.bed.idp.issuer());
    println!("# up");
    let mut end = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = end.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
