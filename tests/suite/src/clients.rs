//! The official clients of the API, unmodified: boto3 and the `bedrock-agentcore` SDK, in `tests/clients`.
//!
//! `cargo xtask install` puts them into `.cache/clients`. What they are told is what any user of theirs sets: endpoints,
//! an access key, a region; and, as JSON, where the test bed is.

use crate::host::{Spec, component};
use crate::testbed::{Service, checkout};
use crate::world::World;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where browsers are sent back to, by every workload that these clients make. Nobody serves it.
pub const RETURN_URL: &str = "http://127.0.0.1:9/consented";

/// What the clients' workloads may do, by their names; `tests/clients/conftest.py` says the same.
const WORKLOADS: &str = r#"
[workloads."open*"]
any_provider = true
authorizer = "default"
trust_user_ids = true
allowed_return_urls = ["http://127.0.0.1:9/consented"]

[workloads."own-*"]
any_provider = true
authorizer = "default"
trust_user_ids = true

# What the SDK calls those that it makes on a laptop.
[workloads."workload-*"]
any_provider = true
authorizer = "default"
trust_user_ids = true

[workloads."strict-*"]
any_provider = true
authorizer = "default"

# A deployed agent, whose callers' word for a user counts.
[agents.greeter]
authorizer = "default"
trust_user_ids = true
"#;

/// Whether they are installed, and the Python that has them.
pub fn python() -> Option<PathBuf> {
    let python =
        std::env::var_os("ATTACHE_PYTHON").map_or_else(|| checkout().join(".cache/clients/bin/python"), PathBuf::from);
    python.is_file().then_some(python)
}

/// Adds to a host's configuration what these clients' workloads may do.
pub fn configure(spec: &mut Spec) {
    spec.extra.push_str(WORKLOADS);
}

/// Deploys what these clients invoke: one agent under two names.
pub fn deploy(world: &World) -> Result<()> {
    let hello = component("hello")?;
    world.host.deploy("hello", &hello, "acme.example")?;
    world.host.deploy("greeter", &hello, "acme.example")
}

/// An access key, made as an operator makes one.
pub fn key(world: &World, name: &str, operations: &str, workloads: &str) -> Result<Value> {
    let key =
        world.host.json(&["keys", "create", "--name", name, "--operations", operations, "--workloads", workloads])?;
    ensure!(key["access_key_id"].is_string() && key["secret_access_key"].is_string(), "a key: {key}");
    Ok(key)
}

/// The variables that these clients read, for a host and one of its access keys.
pub fn variables(world: &World, key: &Value) -> Result<Vec<(&'static str, String)>> {
    let text = |name: &str| Ok::<_, anyhow::Error>(key[name].as_str().context("a key's text")?.to_owned());
    Ok(vec![
        ("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", world.host.url.clone()),
        ("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL", world.host.url.clone()),
        ("AWS_ACCESS_KEY_ID", text("access_key_id")?),
        ("AWS_SECRET_ACCESS_KEY", text("secret_access_key")?),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
    ])
}

/// Runs files of `tests/clients`, each of pytest; fails with what it printed.
pub async fn run(world: &World, liar: &Service, files: &[&str]) -> Result<String> {
    let python = python().context("the clients are not installed; run `cargo xtask install`")?;
    let operator = key(world, "operator", "operator", "*")?;
    let told = json!({
        "url": world.host.url,
        "idp": world.bed.idp.issuer(),
        "saas": world.bed.saas.issuer(),
        "liar": liar.issuer(),
        "return_url": RETURN_URL,
        "agent": "hello",
        "trusting_agent": "greeter",
        "runtime_key": key(world, "runtime", "runtime", "own-*")?,
    });
    // Nothing of an AWS account that whoever runs this may have.
    let output = tokio::process::Command::new(python)
        .args(["-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore"])
        .args(files)
        .current_dir(checkout().join("tests/clients"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", world.host.dir())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables(world, &operator)?)
        .env("ATTACHE_CLIENTS", told.to_string())
        .kill_on_drop(true)
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
