//! A third party of another make: Debian's glewlwyd. Where it is missing `cargo xtask test` installs it or says loudly
//! that this was not run.

use anyhow::{Context as _, Result, ensure};
use suite::glewlwyd::Glewlwyd;
use suite::host::{ProviderSpec, component};
use suite::story::grants;
use suite::testbed::ATTACHE_SECRET;
use suite::walk;
use suite::world::{World, quoted};

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_another_make_grants_is_used_and_rotates() -> Result<()> {
    // So short that each use renews it.
    let Some(second) = Glewlwyd::start(5).await? else {
        eprintln!(
            "SKIPPED: there is no `glewlwyd`; install it (`apt-get install glewlwyd sqlite3`) and run this again"
        );
        return Ok(());
    };
    let scopes = vec!["calendar.read".to_owned()];
    let world = World::start_with(|spec| {
        spec.providers.push(ProviderSpec {
            name: "second".into(),
            issuer: second.issuer(),
            client_id: "attache".into(),
            client_secret: ATTACHE_SECRET.into(),
            scopes: scopes.clone(),
            hosts: vec![second.url.clone()],
            resource: None,
        });
        for agent in &mut spec.agents {
            if agent.name == "probe" {
                agent.providers.push(("second".into(), scopes.clone()));
            }
        }
    })
    .await?;
    second.client("attache", ATTACHE_SECRET, &[&format!("{}/oauth2/callback/second", world.host.url)]).await?;
    world.host.deploy("probe", &component("probe")?, "acme.example")?;

    let mut alice = world.person("alice").await?;
    let reply = world.caller.probe("probe", &alice.token, "acquire?provider=second").await?;
    let link = quoted(&reply.text(), "authorization-url: ")
        .with_context(|| format!("a consent link, not {} {}", reply.status, reply.text()))?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    let page = second.agree(&mut alice.browser, page, "alice").await?;
    ensure!(page.status == 200 && page.url.as_str().starts_with(&world.host.url), "{} {}", page.url, page.body);
    ensure!(grants(&world)?.len() == 1, "one grant, alice's");

    // Each use finds a token at its end, renews it, and sends the new one; the refresh token before it is worth nothing.
    let userinfo = format!("{}/api/oidc/userinfo", second.url);
    for _ in 0..3 {
        let rest = format!("send?provider=second&url={userinfo}");
        let reply = world.caller.probe("probe", &alice.token, &rest).await?;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
        eprintln!("{}", reply.text());
    }
    ensure!(grants(&world)?.len() == 1, "the grant outlives its tokens");
    Ok(())
}
