//! API keys: where the configuration says, and as they are now.

use anyhow::{Result, ensure};
use serde_json::json;
use std::fs;
use suite::flows::{self, Written};

const KEY: &str = "weather-key-weather-key";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_where_the_configuration_puts_it_and_does_not_come_back() -> Result<()> {
    let world = flows::world(vec![
        Written::api_key("header", KEY, "header = \"X-Api-Key\""),
        Written::api_key("prefix", KEY, "header = \"Authorization\"\nprefix = \"ApiKey \""),
        Written::api_key("query", KEY, "query = \"key\""),
    ])
    .await?;
    let token = world.token("alice").await?;
    let url = format!("{}/weather", world.bed.saas.issuer());
    for place in ["header", "prefix", "query"] {
        let text = world.ask(&token, &format!("send?flow=api-key&provider={place}&url={url}")).await?;
        ensure!(text.starts_with("200 ") && text.contains(&format!("\"placed\":\"{place}\"")), "{place}: {text}");
        ensure!(text.contains("\"customer\":\"attache\""), "{text}");
        ensure!(!text.contains(KEY), "the service tells it back, the host does not: {text}");
    }
    assert_eq!(world.stats().await?["weather"], json!({"header": 1, "prefix": 1, "query": 1}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_changed_on_disk_is_used_without_a_restart() -> Result<()> {
    let world = flows::world(vec![Written::api_key("weather", KEY, "header = \"X-Api-Key\"")]).await?;
    let token = world.token("alice").await?;
    let rest = format!("send?flow=api-key&provider=weather&url={}/weather", world.bed.saas.issuer());
    let text = world.ask(&token, &rest).await?;
    ensure!(text.starts_with("200 "), "{text}");

    let before = world.host.pid();
    world.saas_settings(json!({"api_keys": {"another-key-another-key": "attache"}})).await?;
    let text = world.ask(&token, &rest).await?;
    ensure!(text.starts_with("401 "), "the old one opens nothing: {text}");
    fs::write(world.host.dir().join("weather.key"), "another-key-another-key\n")?;
    world.until("the new key is used", async || Ok(world.ask(&token, &rest).await?.starts_with("200 "))).await?;
    assert_eq!(world.host.pid(), before);

    fs::remove_file(world.host.dir().join("weather.key"))?;
    world
        .until("a key that is gone is not used", async || Ok(!world.ask(&token, &rest).await?.starts_with("200 ")))
        .await?;
    Ok(())
}
