//! What hostile guests and callers try against a whole host, and what it must still do meanwhile.

use anyhow::{Result, ensure};
use suite::host::component;
use suite::world::World;

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// (5) A credential goes nowhere that the provider's configuration does not name, whatever a named host answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_handed_back_and_carries_no_credential_on() -> Result<()> {
    let world = World::start_with(|spec| {
        // Both ends of the redirect are allowed to the agent without a credential; that must not help.
        for agent in &mut spec.agents {
            agent.egress = spec.providers[0].hosts.clone();
        }
    })
    .await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    world.grant(&mut alice, "probe", "acquire?provider=google-calendar&scope=calendar.read").await?;
    let elsewhere = format!("{}/take", world.bed.saas.issuer().replace("127.0.0.1", "localhost"));
    for code in [301, 302, 303, 307, 308] {
        for to in ["/take", elsewhere.as_str()] {
            let url = format!("{}/redirect?code={code}&to={}", world.bed.saas.issuer(), encoded(to));
            let path = format!("send?provider=google-calendar&scope=calendar.read&url={}", encoded(&url));
            let reply = world.caller.probe("probe", &alice.token, &path).await?;
            ensure!(reply.text().starts_with(&format!("{code} ")), "{code} to {to}: {}", reply.text());
        }
    }
    ensure!(world.stats().await?["taken"].as_array().is_some_and(Vec::is_empty), "a redirect was followed");
    Ok(())
}

/// (3) What an instance remembers, the next one does not: of the same user, of another, at once or one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn no_invocation_sees_the_memory_of_another() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let (alice, bob) = (world.token("alice").await?, world.token("bob").await?);
    for round in 0..20 {
        // The two halves are joined in the guest, so the request itself does not hold what is looked for.
        let (a, b) = (format!("remem{round}ber-"), "me-please");
        let query = format!("a={a}&b={b}&pages=64");
        let filled = world.caller.probe("probe", &alice, &format!("fill-scan?{query}")).await?;
        ensure!(filled.text().parse::<u64>().is_ok_and(|found| found > 0), "the scan is blind: {}", filled.text());
        let looks = [&alice, &bob, &alice, &bob].map(|token| {
            let (caller, token, path) = (world.caller.clone(), token.clone(), format!("scan?a={a}&b={b}"));
            tokio::spawn(async move { caller.probe("probe", &token, &path).await })
        });
        for look in looks {
            let found = look.await??.text();
            ensure!(found == "0", "round {round}: {found} pages of an earlier invocation");
        }
    }
    Ok(())
}
