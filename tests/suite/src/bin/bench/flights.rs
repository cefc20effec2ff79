//! So many callers, one request upstream; and how soon a revocation is felt.

use crate::opened::{Opened, PROVIDER, SCOPE, scopes, tokens};
use crate::report::Report;
use anyhow::{Context as _, Result, bail, ensure};
use attache::audit::{Action, Actor, Outcome};
use attache::broker::{Acquire, Broker, Flow, Guest, Kind, Refusal, Seat, Wishes};
use attache::clock::Clock;
use attache::identity::Binding;
use attache::vault::{Mint, Wanted};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CALLERS: usize = 1000;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    eprintln!("one request upstream");
    let clock = Clock::held(Clock::system().now());
    let opened = Opened::start(clock.clone()).await?;
    let binding = opened.binding().await?;
    let wanted: Wanted = scopes()?.into();
    // Past the end of the grant's access token.
    clock.advance(Duration::from_secs(2 * 3600));
    let mint = Mint::Machine(wanted.clone());
    for (what, grant, how) in [
        ("an expired grant", "refresh_token", How::Grant(wanted)),
        ("a machine-to-machine token", "client_credentials", How::Mint(mint)),
    ] {
        let before = upstream(&opened, grant).await?;
        let start = Instant::now();
        let callers: Vec<_> =
            (0..CALLERS).map(|_| tokio::spawn(one(opened.host.clone(), binding.clone(), how.clone()))).collect();
        for caller in callers {
            caller.await??;
        }
        let took = start.elapsed().as_secs_f64() * 1000.0;
        let asked = upstream(&opened, grant).await? - before;
        report.add(
            &format!("requests upstream for {CALLERS} callers that want {what}"),
            "",
            &mut [asked as f64],
            Some("= 1"),
        );
        report.add(&format!("until all {CALLERS} have it, each with its durable record"), "ms", &mut [took], None);
        ensure!(asked == 1, "{asked} requests upstream for {what}, and not one");
    }
    revocations(report, &opened, &binding).await
}

#[derive(Clone)]
enum How {
    Grant(Wanted),
    Mint(Mint),
}

async fn one(host: Arc<attache::wiring::Host>, binding: Arc<Binding>, how: How) -> Result<()> {
    let provider = host.providers.oauth2(&PROVIDER.parse()?).context("the provider")?;
    let attempt = host.trail.open(&binding, Action::new("credential.send", "bench"))?;
    let written = attempt.written().await?;
    match &how {
        How::Grant(wanted) => host.vault.token(&written, &provider, wanted).await?,
        How::Mint(mint) => host.vault.minted(&written, &provider, mint).await?,
    };
    attempt.close(Outcome::allowed());
    Ok(())
}

/// How many requests of this grant type the third party's token endpoint got, whatever it answered.
async fn upstream(opened: &Opened, grant: &str) -> Result<u64> {
    let stats = opened.world.stats().await?;
    Ok(["token_requests", "token_errors"].iter().filter_map(|kind| stats[kind][grant].as_u64()).sum())
}

/// A guest asks without a pause, as an instance does through its imports; then its grant is revoked.
async fn revocations(report: &mut Report, opened: &Opened, binding: &Arc<Binding>) -> Result<()> {
    eprintln!("revocation");
    let host = &opened.host;
    let provider = opened.provider()?;
    let (mut from_asking, mut from_answer) = (Vec::new(), Vec::new());
    for _ in 0..if report.quick { 10 } else { 40 } {
        let attempt = host.trail.open(binding, Action::new("consent.callback", "bench"))?;
        let kept = host.vault.keep(&attempt.written().await?, &provider, &scopes()?.into(), tokens(), None).await?;
        attempt.close(Outcome::allowed());
        let (guest, seat): (Guest, Seat) = host.desk.seat(binding, None);
        let running = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(until_denied(host.clone(), guest, running.clone()));
        while !running.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        let asked = Instant::now();
        host.vault.revoke(kept, Actor::operator("bench"), None).await?;
        let answered = Instant::now();
        let (last_allowed, denied) = asking.await??;
        ensure!(last_allowed <= answered, "a call was allowed that began after the revocation was answered");
        from_asking.push(denied.duration_since(asked).as_secs_f64() * 1e6);
        from_answer.push(denied.saturating_duration_since(answered).as_secs_f64() * 1e6);
        drop(seat);
    }
    let aim = Some("none allowed after the answer");
    report.add("from a revocation to the first denied host call of a running instance", "µs", &mut from_asking, None);
    report.add("from the revocation's answer to the first denied host call", "µs", &mut from_answer, aim);
    Ok(())
}

/// When the last call began that was allowed, and when the first was denied.
async fn until_denied(
    host: Arc<attache::wiring::Host>,
    guest: Guest,
    running: Arc<AtomicBool>,
) -> Result<(Instant, Instant)> {
    let ask = || Acquire {
        provider: PROVIDER.into(),
        kind: Kind::Oauth2 { scopes: vec![SCOPE.into()], flow: Flow::UserFederation, wishes: Wishes::default() },
    };
    let mut allowed = Instant::now();
    loop {
        let began = Instant::now();
        match host.desk.acquire(&guest.wat, ask()).await {
            Ok(acquired) => Broker::release(&host.desk, &guest.wat, acquired.id),
            Err(Refusal::ConsentRequired { .. }) => return Ok((allowed, Instant::now())),
            Err(other) => bail!("the guest was refused for another reason: {other:?}"),
        }
        allowed = began;
        running.store(true, Ordering::Release);
        // The records of a loop without end would fill the journal's queue.
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}
