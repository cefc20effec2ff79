//! Consent on another device (RFC 8628), through the host's page and the provider's.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use suite::browser::Browser;
use suite::flows::{self, Written};
use suite::html;
use suite::story::grants;
use suite::walk;
use suite::world::World;

const ASK: &str = "provider=saas&scope=calendar.read";

async fn world() -> Result<World> {
    let lines = "consent = \"device\"\noffline_scope = \"offline_access\"";
    flows::world(vec![Written::saas("saas", "attache", lines)]).await
}

/// Where the user is told to go, and the code that they are shown.
fn shown(world: &World, page: &suite::browser::Page) -> Result<(String, String)> {
    let saas = world.bed.saas.issuer();
    let link = html::links(&page.url, &page.body).into_iter().find(|link| link.as_str().starts_with(&saas));
    let link = link.with_context(|| format!("a link to the provider: {}", page.body))?;
    let code = page.body.split("<p class=\"code\">").nth(1).and_then(|rest| rest.split("<code>").nth(1));
    let code = code.and_then(|rest| rest.split('<').next()).with_context(|| format!("a code: {}", page.body))?;
    Ok((link.into(), code.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_types_the_code_on_another_device_and_the_grant_is_theirs() -> Result<()> {
    let world = world().await?;
    let mut alice = world.person("alice").await?;
    let mut mallory = world.person("mallory").await?;
    let link = world.link(&alice.token, ASK).await?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    ensure!(page.status == 200, "{} {}", page.url, page.body);
    let (there, code) = shown(&world, &page)?;

    let theirs = walk::open(&mut mallory.browser, &link, "mallory").await?;
    ensure!(theirs.status == 403 && !theirs.body.contains(&code), "{} {}", theirs.status, theirs.body);
    ensure!(grants(&world)?.is_empty(), "nobody has agreed yet");

    // Another device: none of alice's cookies.
    let mut phone = Browser::new();
    let mut page = phone.get(&there).await?;
    for _ in 0..6 {
        page = phone.as_user(page, "alice").await?;
        let form =
            html::forms(&page.url, &page.body)?.into_iter().find(|form| form.action.path().starts_with("/device"));
        match form {
            Some(form) => page = phone.submit(&form, &[("user_code", &code)]).await?,
            None => break,
        }
    }
    ensure!(page.body.contains("Go back to your device"), "{} {}", page.url, page.body);

    world.until("the host has asked", async || Ok(!grants(&world)?.is_empty())).await?;
    let about = world.about(&alice.token, ASK).await?;
    assert_eq!((&about["user"], &about["scope"]), (&json!("alice"), &json!("calendar.read")));
    let page = alice.browser.get(&link).await?;
    ensure!(page.body.contains("may now use"), "{}", page.body);
    world.link(&mallory.token, ASK).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_refused_stores_nothing_and_the_page_says_so() -> Result<()> {
    let world = world().await?;
    let mut alice = world.person("alice").await?;
    let link = world.link(&alice.token, ASK).await?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    let (_, code) = shown(&world, &page)?;
    world.bed.saas.control("device", json!({"user_code": code, "refuse": true})).await?;
    world
        .until("the page says that it is over", async || Ok(!alice.browser.get(&link).await?.body.contains(&code)))
        .await?;
    ensure!(grants(&world)?.is_empty(), "nothing is stored");
    world.link(&alice.token, ASK).await?;
    Ok(())
}
