//! Guests that break, hang or flood.

use crate::bed::{Bed, get};
use attache::runtime::{EngineConfig, InvokeError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test]
async fn a_fault_is_a_short_answer_and_the_next_invocation_is_served() {
    let fault = |reason: &str| InvokeError::Trapped(reason.to_owned());
    let cases = [
        ("/trap", fault("wasm `unreachable` instruction executed")),
        ("/exit", fault("it exited with code 1")),
        ("/recurse", fault("call stack exhausted")),
        ("/two-responses", fault("it broke a rule of the interface")),
        ("/random?bytes=100000000", fault("it broke a rule of the interface")),
        ("/no-response", InvokeError::NoResponse),
        ("/error", InvokeError::AgentError("ErrorCode::LoopDetected".into())),
        ("/short-body", InvokeError::AgentError("HTTP protocol error".into())),
        ("/grow", InvokeError::OutOfMemory("more than 67108864 bytes of memory".into())),
        ("/acquire?provider=panic", InvokeError::Host),
    ];
    for (target, expected) in cases {
        assert_eq!(Bed::patient().error(target).await, expected, "{target}");
        assert_eq!(Bed::patient().text("/").await, "hello", "after {target}");
    }
}

#[tokio::test]
async fn handles_are_capped() {
    assert_eq!(Bed::patient().text("/handles?count=900").await, "held");
    let error = Bed::patient().error("/handles?count=1100").await;
    assert_eq!(error, InvokeError::Trapped("it holds too many handles, or one that it gave away".into()));
}

#[tokio::test]
async fn randomness_within_bounds_is_given() {
    assert_eq!(Bed::patient().text("/random?bytes=1024").await, "1024");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_are_stopped_at_the_deadline_while_others_are_served() {
    let deadline = Duration::from_secs(3);
    let bed = Arc::new(Bed::new(EngineConfig { max_instances: 20, deadline, ..EngineConfig::default() }));
    bed.probe();
    let loops: Vec<_> = (0..4)
        .map(|_| {
            let bed = bed.clone();
            tokio::spawn(async move { bed.error("/loop").await })
        })
        .collect();
    // Four loops on two threads: nobody else would get a turn if a loop were not interrupted.
    assert_eq!(bed.text("/").await, "hello");
    assert!(loops.iter().all(|looping| !looping.is_finished()), "another was served only when the loops had ended");
    for looping in loops {
        assert_eq!(looping.await.unwrap(), InvokeError::Deadline(deadline));
    }
}

#[tokio::test]
async fn a_guest_that_waits_is_stopped_at_the_deadline() {
    for target in ["/sleep?ms=60000", "/acquire?provider=never", "/get?url=https://never.example/"] {
        let error = Bed::hasty().error(target).await;
        assert_eq!(error, InvokeError::Deadline(Duration::from_millis(400)), "{target}");
    }
}

/// The host's log, as far as this thread writes it.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    async fn of(target: &str) -> String {
        let lines = Self::default();
        let writer = lines.clone();
        let log =
            tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone()).finish();
        let logging = tracing::subscriber::set_default(log);
        assert_eq!(Bed::patient().text(target).await, "logged");
        drop(logging);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_log_flood_is_cut_and_what_is_missing_is_counted() {
    let log = Lines::of("/log?bytes=1000000").await;
    assert_eq!(log.lines().filter(|line| line.contains("xxx")).count(), 1024, "64 KiB in lines of 64 bytes");
    assert!(log.contains("934464 more bytes were not logged"), "{}", &log[log.len() - 200..]);
}

#[tokio::test]
async fn a_guest_cannot_forge_a_line_of_the_log() {
    let log = Lines::of("/log?line=a%0d%1b%5b31mb").await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("guest: a\\r\\u{1b}[31mb") && lines[0].contains("stdout"), "{log}");
    assert!(lines[1].contains("stderr") && lines[1].contains("agent=\"probe\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_host_says_so_and_recovers() {
    let config = EngineConfig {
        max_instances: 2,
        admission_wait: Duration::from_millis(20),
        deadline: Duration::from_millis(300),
        ..EngineConfig::default()
    };
    let bed: &'static Bed = Box::leak(Box::new(Bed::new(config)));
    bed.probe();
    let sleepers: Vec<_> = (0..2).map(|_| tokio::spawn(bed.error("/sleep?ms=60000"))).collect();
    bed.settled(0).await;
    assert_eq!(bed.error("/").await, InvokeError::Busy);
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
    bed.settled(2).await;
    for _ in 0..10 {
        assert_eq!(bed.text("/").await, "hello");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_stops_its_guest() {
    let bed = Bed::new(EngineConfig { max_instances: 3, ..EngineConfig::default() });
    {
        let sleeping = bed.invoke(get("/sleep?ms=60000"));
        let gone = tokio::time::timeout(Duration::from_millis(20), sleeping).await;
        assert!(gone.is_err());
    }
    bed.settled(3).await;
}
