//! The clocks of guests: in steps, so that they tell the time and not how long the processor took.

use std::time::{Duration, Instant, SystemTime};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Time, rounded down to whole steps. What a guest waits for is measured by the host's own clock.
pub(super) struct Coarse {
    start: Instant,
    step: Duration,
}

impl Coarse {
    /// A clock that stands at zero now.
    pub(super) fn starting_now(step: Duration) -> Self {
        Self { start: Instant::now(), step }
    }
}

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        nanoseconds(self.step)
    }

    fn now(&self) -> u64 {
        nanoseconds(floor(self.start.elapsed(), self.step))
    }
}

impl HostWallClock for Coarse {
    fn resolution(&self) -> Duration {
        self.step
    }

    /// Zero on a machine whose clock stands before 1970.
    fn now(&self) -> Duration {
        floor(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(), self.step)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn floor(time: Duration, step: Duration) -> Duration {
    let over = time.as_nanos() % step.as_nanos().max(1);
    time - Duration::from_nanos(u64::try_from(over).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_in_whole_steps() {
        let step = Duration::from_millis(1);
        assert_eq!(floor(Duration::from_nanos(1_999_999), step), step);
        assert_eq!(floor(Duration::from_nanos(2_000_000), step), 2 * step);
        assert_eq!(floor(Duration::from_nanos(7), Duration::ZERO), Duration::from_nanos(7));
        let clock = Coarse::starting_now(step);
        for _ in 0..100 {
            assert_eq!(HostMonotonicClock::now(&clock) % 1_000_000, 0);
            assert_eq!(HostWallClock::now(&clock).subsec_nanos() % 1_000_000, 0);
        }
        assert_eq!(HostMonotonicClock::resolution(&clock), 1_000_000);
    }
}
