//! The test bed with a host on it, left running: `cargo xtask up`. Prints an env file and stays until it is ended.

use anyhow::Result;
use suite::host::HostProcess;
use suite::testbed::TestBed;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let bed = TestBed::start().await?;
    let host = HostProcess::start(&bed).await?;
    for agent in ["hello", "calendar", "rogue"] {
        host.deploy(agent, "example")?;
    }
    println!("ATTACHE_URL={}", host.url.as_str().trim_end_matches('/'));
    println!("ATTACHE_CONFIG={}", host.folder.path().join("attache.toml").display());
    println!("ATTACHE_DATA_DIR={}", host.folder.path().join("data").display());
    println!("TEST_IDP={}", bed.idp.issuer());
    println!("TEST_SAAS={}", bed.saas.issuer());
    println!("# A user's token: curl -s \"$TEST_TOKEN_URL\" -d '{{\"user\":\"alice\",\"expires_in\":3600}}'");
    println!("TEST_TOKEN_URL={}", bed.idp.url.join("__test/token")?);
    println!("# up");
    let mut end = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = end.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
