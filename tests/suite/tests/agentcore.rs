//! Amazon's own clients, unmodified, against a whole host on real providers. What is tested is in `tests/clients`.
//! Where the clients are missing `cargo xtask test` installs them or says loudly that this was not run.

use anyhow::{Result, ensure};
use serde_json::json;
use suite::clients::{configure, deploy, python, run};
use suite::testbed::Service;
use suite::world::World;

async fn passes(files: &[&str]) -> Result<()> {
    passes_at("", files).await
}

/// With more lines of the host's configuration.
async fn passes_at(lines: &str, files: &[&str]) -> Result<()> {
    if python().is_none() {
        eprintln!("SKIPPED: the clients are not installed; run `cargo xtask install` and this again");
        return Ok(());
    }
    let world = World::start_with(|spec| {
        configure(spec);
        spec.extra.push_str(lines);
    })
    .await?;
    let liar = Service::start(json!({ "mode": "liar" })).await?;
    deploy(&world)?;
    let told = run(&world, &liar, files).await?;
    ensure!(told.contains(" passed") && !told.contains("skipped"), "everything ran: {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_mints_keys_providers_tags_and_the_vault_through_boto3() -> Result<()> {
    passes(&["test_workloads.py", "test_mints.py", "test_api_keys.py", "test_providers.py", "test_vault_and_tags.py"])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flow_to_a_resource_token_through_boto3() -> Result<()> {
    passes(&["test_tokens.py"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdks_decorators_complete_every_flow_and_an_agent_written_for_aws_runs_as_it_is() -> Result<()> {
    passes(&["test_sdk.py", "test_example.py"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn deployed_agents_are_invoked_through_boto3() -> Result<()> {
    passes(&["test_runtime.py"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_of_the_models_is_enforced_and_what_is_not_offered_says_so() -> Result<()> {
    passes(&["test_limits.py", "test_not_offered.py", "test_signatures.py"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_the_answer_is_one_that_the_openapi_document_has() -> Result<()> {
    passes(&["test_openapi.py"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_invokes_too_often_is_throttled_as_at_amazon() -> Result<()> {
    passes_at("\n[limits]\ncaller_rate = 1\n", &["test_throttled.py"]).await
}
