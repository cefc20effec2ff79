//! How often something that anybody can cause is written down.

use crate::clock::{Clock, Steady};
use std::sync::{Mutex, PoisonError};

/// So many at once, and so many a second after that. Counts what was left out.
pub struct Allowance {
    clock: Clock,
    burst: u64,
    per_second: u64,
    state: Mutex<State>,
}

struct State {
    /// In thousandths.
    left: u64,
    at: Steady,
    left_out: u64,
}

impl Allowance {
    /// Full at first.
    pub fn new(burst: u64, per_second: u64, clock: Clock) -> Self {
        let state = Mutex::new(State { left: burst * 1000, at: clock.steady(), left_out: 0 });
        Self { clock, burst, per_second, state }
    }

    /// Whether this one is allowed, and then how many were left out since the last that was.
    pub fn take(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.steady();
        let gained = u64::try_from(now.since(state.at).as_millis()).unwrap_or(u64::MAX).saturating_mul(self.per_second);
        state.left = state.left.saturating_add(gained).min(self.burst * 1000);
        state.at = now;
        if state.left < 1000 {
            state.left_out += 1;
            return None;
        }
        state.left -= 1000;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use std::time::Duration;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let clock = Clock::held(Timestamp::from_secs(1));
        let allowance = Allowance::new(2, 10, clock.clone());
        let taken: Vec<_> = (0..5).map(|_| allowance.take()).collect();
        assert_eq!(taken, [Some(0), Some(0), None, None, None]);
        clock.advance(Duration::from_millis(100));
        assert_eq!((allowance.take(), allowance.take()), (Some(3), None));
        clock.advance(Duration::from_secs(3600));
        assert_eq!((allowance.take(), allowance.take(), allowance.take()), (Some(1), Some(0), None));
    }
}
