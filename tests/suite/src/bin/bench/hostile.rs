//! What hostile guests cost the others: how late one is stopped, how long a polite caller waits beside some that loop, and
//! whether the host grows over many invocations that ended in every way.

use crate::bare::YesBroker;
use crate::inside::{Anybody, anybody};
use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use attache::broker::Body;
use attache::runtime::{Engine, EngineConfig, InvokeError, Loaded};
use http_body_util::{BodyExt as _, Empty};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use suite::host::component;

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    eprintln!("hostile guests");
    let bytes = std::fs::read(component("hostile")?)?;
    let seat = anybody().await?;
    let bed = |config: EngineConfig| -> Result<Arc<Bed>> {
        let engine = Engine::new(&config)?;
        let loaded = engine.load(&bytes)?;
        Ok(Arc::new(Bed { engine, loaded, seat: seat.clone() }))
    };
    let deadline = Duration::from_millis(300);
    overrun(report, &*bed(EngineConfig { deadline, ..EngineConfig::default() })?, deadline).await?;
    fairness(report, &bed(EngineConfig { deadline: Duration::from_secs(60), ..EngineConfig::default() })?).await?;
    let hasty = EngineConfig { deadline: Duration::from_millis(5), max_instances: 32, ..EngineConfig::default() };
    flat(report, &bed(hasty)?).await
}

struct Bed {
    engine: Arc<Engine>,
    loaded: Arc<Loaded>,
    seat: Anybody,
}

impl Bed {
    async fn invoke(&self, attack: &str) -> Result<http::Response<Body>, InvokeError> {
        let (guest, _live) = self.seat.guest();
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = http::Request::get(format!("https://bench.test/{attack}")).body(body).expect("a request");
        self.engine.invoke(&self.loaded, guest, Arc::new(YesBroker), request).await
    }
}

/// How long after its deadline a guest is gone.
async fn overrun(report: &mut Report, bed: &Bed, deadline: Duration) -> Result<()> {
    let mut late = Vec::new();
    for attack in [
        "loop_forever",
        "call_forever",
        "poll_busily",
        "random_without_end",
        "log_without_end",
        "overwrite_memory",
        "sleep_forever",
    ] {
        for _ in 0..if report.quick { 1 } else { 5 } {
            let began = Instant::now();
            let ended = bed.invoke(attack).await.map(drop);
            ensure!(ended == Err(InvokeError::Deadline(deadline)), "{attack}: {ended:?}");
            late.push((began.elapsed() - deadline).as_secs_f64() * 1000.0);
        }
    }
    let mut latest = [late.iter().copied().fold(0.0, f64::max)];
    report.add("how late a guest is stopped that does not stop by itself", "ms", &mut late, None);
    report.add("the latest of them", "ms", &mut latest, Some("< 50"));
    Ok(())
}

/// How long a polite caller waits alone, and beside guests that loop, two for each thread there is.
async fn fairness(report: &mut Report, bed: &Arc<Bed>) -> Result<()> {
    let calls = if report.quick { 300 } else { 2000 };
    let threads = std::thread::available_parallelism()?.get();
    polite(bed, calls / 4).await?;
    let (mut all_alone, mut all_beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let alone = polite(bed, calls).await?;
        let abusers: Vec<_> = (0..2 * threads)
            .map(|_| {
                let bed = bed.clone();
                tokio::spawn(async move { bed.invoke("loop_forever").await.map(drop) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let beside = polite(bed, calls).await?;
        let running = abusers.iter().filter(|abuser| !abuser.is_finished()).count();
        ensure!(running == abusers.len(), "the abusers ended before the measurement did");
        for abuser in abusers {
            abuser.abort();
            let _gone = abuser.await;
        }
        ratios.push(beside / alone);
        all_alone.push(alone);
        all_beside.push(beside);
    }
    report.add("99 of 100 polite callers are served within, alone", "ms", &mut all_alone, None);
    report.add("the same beside two guests that loop for each thread", "ms", &mut all_beside, None);
    report.add("beside / alone", "×", &mut ratios, None);
    Ok(())
}

/// The 99th percentile of so many calls, in milliseconds. They come from a task of their own, as callers do.
async fn polite(bed: &Arc<Bed>, calls: usize) -> Result<f64> {
    let bed = bed.clone();
    let mut times = tokio::spawn(async move {
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let began = Instant::now();
            let response = bed.invoke("be_polite").await?;
            response.into_body().collect().await.map_err(|error| anyhow::anyhow!("{error}"))?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        anyhow::Ok(times)
    })
    .await??;
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() * 99 / 100])
}

/// Resident memory after a tenth of the invocations, and after all of them.
async fn flat(report: &mut Report, bed: &Arc<Bed>) -> Result<()> {
    let all: usize = if report.quick { 10_000 } else { 100_000 };
    run(bed, all / 10).await;
    let early = resident()?;
    run(bed, all - all / 10).await;
    let late = resident()?;
    let mut ratio = [late / early];
    report.add(&format!("resident memory after {} invocations", all / 10), "MiB", &mut [early / 1048576.0], None);
    report.add(&format!("resident memory after {all} invocations"), "MiB", &mut [late / 1048576.0], None);
    report.add("late / early", "×", &mut ratio, Some("< 1.05"));
    ensure!(bed.engine.free_instances() == 32, "an instance was not given back");
    Ok(())
}

/// So many, one in four a polite one, a fault, one that is stopped at its deadline, and one whose body nobody reads.
async fn run(bed: &Arc<Bed>, all: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let lanes: Vec<_> = (0..16)
        .map(|_| {
            let (bed, next) = (bed.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= all {
                        return;
                    }
                    match ["be_polite", "fault_at_once", "sleep_forever", "body_without_end"][n % 4] {
                        polite @ "be_polite" => {
                            if let Ok(response) = bed.invoke(polite).await {
                                let _read = response.into_body().collect().await;
                            }
                        }
                        other => drop(bed.invoke(other).await),
                    }
                }
            })
        })
        .collect();
    for lane in lanes {
        let _done = lane.await;
    }
    // What was aborted goes when its task is next looked at.
    for _ in 0..1000 {
        if bed.engine.free_instances() == 32 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Bytes of this process in memory, and of the tables that map them.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kilobytes = |name: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a line of /proc/self/status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    };
    Ok((kilobytes("VmRSS:")? + kilobytes("VmPTE:")?) * 1024.0)
}
