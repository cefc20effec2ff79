//! Documents that lie, come slowly or never end: of the users' identity provider and of agents' providers.

use anyhow::{Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};
use suite::lying::{Lying, liar, provider};

/// The lie, and what is said of it: of a discovery document or of a key set.
const LIES: [(&str, &str); 11] = [
    ("giant", "longer than 262144 bytes"),
    ("endless", "longer than 262144 bytes"),
    ("bomb", "compressed"),
    ("slow", "in time"),
    ("silent", "in time"),
    ("cut", ""),
    ("deep", ""),
    ("twice", ""),
    ("redirect", ""),
    ("html", ""),
    ("503", "503"),
];

/// Longer than the host waits for any document, by far: machines are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kibibyte is one of these lines of `/proc/PID/status`.
fn most_memory(lying: &Lying) -> Result<u64> {
    let pid = lying.host.pid().unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// So much may a host grow by, over all of these at once.
const ROOM: u64 = 96 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_the_users_identity_provider_that_lie_verify_nobody_in_bounded_time_and_memory() -> Result<()> {
    let liar = liar().await?;
    let mut lies: Vec<(String, &str)> = Vec::new();
    for (how, said) in LIES {
        lies.extend([(format!("document-{how}"), said), (format!("keys-{how}"), said)]);
    }
    lies.extend([
        ("document-other-issuer".into(), "`issuer` is not the configured one"),
        ("document-slash".into(), "`issuer` is not the configured one"),
        ("keys-elsewhere".into(), "its `jwks_uri` is not an `https` address"),
        ("keys-file".into(), "its `jwks_uri` is not an `https` address"),
        ("keys-missing".into(), "it has no `jwks_uri`"),
        ("keys-none".into(), "no usable key"),
    ]);
    let mut more = String::new();
    for (n, (lie, _)) in lies.iter().enumerate() {
        more += &format!(
            "\n[issuers.l{n}]\nissuer = {:?}\n[[authorizers.default.rules]]\nissuer = \"l{n}\"\naudiences = [{:?}]\n",
            liar.lying(&[lie]),
            suite::testbed::AUDIENCE
        );
    }
    // A provider of no use, so that the probe is there.
    let lying = Lying::host(&liar.lying(&[]), vec![provider(&liar, "p", &[], "")], &more).await?;
    let honest = liar.lying_token(json!({})).await?;
    ensure!(lying.probe(&honest, "").await.is_ok(), "an honest issuer's user is served");
    let before = most_memory(&lying)?;
    let begun = Instant::now();
    let asked = lies.iter().map(|(lie, _)| {
        let (liar, lying) = (&liar, &lying);
        async move {
            let token = liar.lying_token(json!({ "lies": [lie] })).await?;
            let reply = lying.caller.probe("probe", &token, "").await?;
            anyhow::Ok((lie.as_str(), reply.status.as_u16()))
        }
    });
    // Meanwhile everybody else is served.
    let others = async {
        for _ in 0..20 {
            ensure!(lying.probe(&honest, "").await.is_ok(), "an honest issuer's user is served meanwhile");
        }
        anyhow::Ok(())
    };
    let (asked, others) = futures_util::join!(futures_util::future::join_all(asked), others);
    others?;
    ensure!(begun.elapsed() < PATIENCE, "all of them were refused in {:?}", begun.elapsed());
    for answer in asked {
        let (lie, status) = answer?;
        let expect = if lie == "keys-none" { 401 } else { 503 };
        ensure!(status == expect, "{lie}: {status}");
    }
    let grown = most_memory(&lying)?.saturating_sub(before);
    ensure!(grown < ROOM, "{grown} KiB more than before");
    let records = lying.host.json(&["audit", "--action", "user.reject", "--limit", "100"])?.to_string();
    let log = lying.host.log()?;
    for (lie, said) in &lies {
        let about: Vec<&str> = log.lines().filter(|line| line.contains(&format!("/{lie}"))).collect();
        let told = records.contains(said) && (*lie == "keys-none" || about.iter().any(|line| line.contains(said)));
        ensure!(told, "`{said}` is to be said of {lie}: {about:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_a_provider_that_lie_store_nothing_in_bounded_time_and_memory() -> Result<()> {
    let liar = liar().await?;
    let mut lies: Vec<(String, &str)> = LIES.iter().map(|(how, said)| (format!("document-{how}"), *said)).collect();
    // Members that nobody asks for are skipped, however deep: that takes neither memory nor stack.
    lies.retain(|(lie, _)| lie != "document-deep");
    lies.extend([
        ("document-other-issuer".into(), "names another issuer"),
        ("document-slash".into(), "names another issuer"),
        ("document-no-token-endpoint".into(), "no `token_endpoint`"),
        ("document-elsewhere".into(), "token_endpoint"),
        ("document-file".into(), "token_endpoint"),
        ("document-fragment".into(), "authorization_endpoint"),
    ]);
    let providers = lies.iter().enumerate();
    let providers = providers.map(|(n, (lie, _))| provider(&liar, &format!("p{n}"), &[lie], ""));
    let providers = providers.chain([provider(&liar, "deep", &["document-deep"], "")]).collect();
    let lying = Lying::host(&liar.lying(&[]), providers, "").await?;
    let token = liar.lying_token(json!({})).await?;
    let before = most_memory(&lying)?;
    let begun = Instant::now();
    let asked = (0..lies.len()).map(|n| {
        let (lying, token) = (&lying, &token);
        async move { lying.consent(token, &format!("provider=p{n}&scope=read")).await }
    });
    let asked = futures_util::future::join_all(asked).await;
    ensure!(begun.elapsed() < PATIENCE, "all of them were refused in {:?}", begun.elapsed());
    let grown = most_memory(&lying)?.saturating_sub(before);
    ensure!(grown < ROOM, "{grown} KiB more than before");
    let log = lying.host.log()?;
    for (told, (lie, said)) in asked.into_iter().zip(&lies) {
        ensure!(!told?.well, "{lie}");
        let about: Vec<&str> = log.lines().filter(|line| line.contains(&format!("/{lie}`"))).collect();
        let told = about.iter().any(|line| line.contains("discovery") && line.contains(said));
        ensure!(told, "`{said}` is to be said of {lie}: {about:?}");
    }
    ensure!(lying.grants()? == 0, "nothing is stored");
    ensure!(lying.consent(&token, "provider=deep&scope=read").await?.well, "what is not asked for is not looked at");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_starts_while_its_users_identity_provider_is_down_serves_them() -> Result<()> {
    let liar = liar().await?;
    let current = format!("{}/current", liar.issuer());
    let mut lying = Lying::host(&current, vec![provider(&liar, "p", &[], "")], "").await?;
    let token = async || liar.lying_token(json!({ "lies": ["current"] })).await;
    lying.probe(&token().await?, "").await?;
    liar.control("current", json!(["document-503", "keys-503"])).await?;
    for _ in 0..2 {
        // Killed, not stopped: the keys were kept when they were read.
        tokio::task::block_in_place(|| lying.host.restart())?;
        lying.probe(&token().await?, "").await?;
    }
    // One that was never there before knows nobody.
    let fresh = Lying::host(&current, vec![provider(&liar, "p", &[], "")], "").await?;
    let reply = fresh.caller.probe("probe", &token().await?, "").await?;
    ensure!(reply.status == 503, "{} {}", reply.status, reply.text());
    Ok(())
}
