//! Time as an argument: tests move a clock, nothing sleeps.
//!
//! There are two kinds. [`Timestamp`] is the wall's: what others say (`exp`) and what is written down. It can be set, and
//! then it jumps, either way. [`Steady`] never goes back: how long something lives in this process is counted in it, so
//! that nobody lives longer because somebody turned the wall clock back. They are two types, so that neither is compared
//! with the other.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// By more than this the wall clock has been set; by less it was led.
pub const JUMP: Duration = Duration::from_secs(60);

/// A point in time: milliseconds since 1970, UTC. A clock before 1970 reads as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds since 1970, as OAuth and JWT count; saturating.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// This much later; saturating.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_millis().try_into().unwrap_or(u64::MAX)))
    }

    /// This much earlier; saturating at 1970.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_millis().try_into().unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whether this is in the life of something that rests on disk, from when it began until it is over. What begins in the
    /// future, by more than [`JUMP`], is of a time that the clock was turned back from: how long that would live, nobody
    /// can tell.
    pub fn is_within(self, begun: Self, over: Self) -> bool {
        begun <= self.plus(JUMP) && self < over
    }
}

/// A point in the time of this process, which never goes back. It counts on when the wall clock is turned back, and along
/// when that is turned on, or when the machine slept: whatever lives for so long is then over too early rather than late.
///
/// Means nothing outside the process: it is neither stored nor shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Steady(u64);

impl Steady {
    /// This much later; saturating.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_millis().try_into().unwrap_or(u64::MAX)))
    }

    /// This much earlier, for what is older than the process; saturating.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_millis().try_into().unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As a number, to be kept in an atomic.
    pub(crate) const fn millis(self) -> u64 {
        self.0
    }
}

/// RFC 3339 with milliseconds, in UTC.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(i64::try_from(self.0).unwrap_or(i64::MAX)) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Where time comes from. Cheap to clone; all clones of a moved clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    source: Source,
    watch: Watch,
}

#[derive(Debug)]
enum Source {
    System { started: Instant },
    Held { wall: AtomicU64, elapsed: AtomicU64 },
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self::of(Source::System { started: Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn held(at: Timestamp) -> Self {
        Self::of(Source::Held { wall: AtomicU64::new(at.0), elapsed: AtomicU64::new(0) })
    }

    fn of(source: Source) -> Self {
        let (wall, elapsed) = source.read();
        Self(Arc::new(Parts { source, watch: Watch::new(wall, elapsed) }))
    }

    /// Now, by the wall clock.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.source.read().0)
    }

    /// Now, in the time of this process.
    pub fn steady(&self) -> Steady {
        let (wall, elapsed) = self.0.source.read();
        self.0.watch.look(wall, elapsed)
    }

    /// How often the wall clock has jumped, by more than [`JUMP`] against the time that passed. What was judged by it
    /// before the last jump has to be judged anew.
    pub fn jumps(&self) -> u64 {
        self.steady();
        self.0.watch.jumps.load(Ordering::Acquire)
    }

    /// Lets time pass on a held clock; no effect on the system's.
    pub fn advance(&self, by: Duration) {
        if let Source::Held { wall, elapsed } = &self.0.source {
            let by = by.as_millis().try_into().unwrap_or(u64::MAX);
            wall.fetch_add(by, Ordering::Relaxed);
            elapsed.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Sets the wall of a held clock without time passing; no effect on the system's.
    pub fn set(&self, at: Timestamp) {
        if let Source::Held { wall, .. } = &self.0.source {
            wall.store(at.0, Ordering::Relaxed);
        }
    }
}

impl Source {
    /// The wall clock, and how long this clock has been there: milliseconds both.
    fn read(&self) -> (u64, u64) {
        let millis = |time: Duration| time.as_millis().try_into().unwrap_or(u64::MAX);
        match self {
            Self::System { started } => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
                (wall, millis(started.elapsed()))
            }
            Self::Held { wall, elapsed } => (wall.load(Ordering::Relaxed), elapsed.load(Ordering::Relaxed)),
        }
    }
}

/// Compares the wall clock with the time that passed. Takes no lock but where they differ.
#[derive(Debug)]
struct Watch {
    /// The wall clock when there was no time yet.
    origin: u64,
    /// By how much the wall clock was ahead of the time that passed, when that was last taken down.
    offset: AtomicI64,
    /// All jumps forward, put together.
    ahead: AtomicU64,
    jumps: AtomicU64,
    following: Mutex<()>,
}

impl Watch {
    fn new(wall: u64, elapsed: u64) -> Self {
        let offset = AtomicI64::new(offset(wall, elapsed));
        let origin = wall.saturating_sub(elapsed);
        Self { origin, offset, ahead: AtomicU64::new(0), jumps: AtomicU64::new(0), following: Mutex::new(()) }
    }

    fn look(&self, wall: u64, elapsed: u64) -> Steady {
        let found = offset(wall, elapsed);
        // A clock that is led is followed, a second at a time, so that a year of that is no jump.
        if found.abs_diff(self.offset.load(Ordering::Acquire)) > 1000 {
            self.follow(found);
        }
        Steady(self.origin.saturating_add(elapsed).saturating_add(self.ahead.load(Ordering::Acquire)))
    }

    /// One at a time, and the offset last: whoever sees that sees the rest.
    fn follow(&self, found: i64) {
        let _one_at_a_time = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.offset.load(Ordering::Acquire);
        let by = found.abs_diff(seen);
        if u128::from(by) > JUMP.as_millis() {
            if found > seen {
                self.ahead.fetch_add(by, Ordering::AcqRel);
            }
            self.jumps.fetch_add(1, Ordering::AcqRel);
            tracing::warn!(
                seconds = by / 1000,
                forward = found > seen,
                "the wall clock jumped; users are verified anew, and what lives for a time lives no longer for it"
            );
        }
        self.offset.store(found, Ordering::Release);
    }
}

fn offset(wall: u64, elapsed: u64) -> i64 {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    signed(wall).saturating_sub(signed(elapsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn clock() -> (Clock, Steady) {
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let steady = clock.steady();
        (clock, steady)
    }

    #[test]
    fn time_that_passes_is_no_jump() {
        let (clock, begun) = clock();
        for _ in 0..1000 {
            clock.advance(HOUR);
            assert_eq!(clock.jumps(), 0);
        }
        assert_eq!(clock.steady().since(begun), HOUR * 1000);
    }

    #[test]
    fn a_wall_clock_that_is_led_is_followed() {
        let (clock, begun) = clock();
        // Half a second a minute fast, for a month: six hours in the end.
        for _ in 0..30 * 24 * 60 {
            clock.advance(MINUTE);
            clock.set(clock.now().plus(Duration::from_millis(500)));
            assert_eq!(clock.jumps(), 0);
        }
        assert_eq!(clock.steady().since(begun), HOUR * 24 * 30);
    }

    #[test]
    fn a_jump_back_makes_nobody_younger() {
        let (clock, begun) = clock();
        clock.advance(HOUR);
        clock.set(clock.now().minus(HOUR * 24));
        assert_eq!(clock.steady().since(begun), HOUR);
        clock.advance(HOUR);
        assert_eq!((clock.steady().since(begun), clock.jumps()), (HOUR * 2, 1));
    }

    #[test]
    fn a_jump_forward_makes_everybody_older_and_back_again_does_not_undo_it() {
        let (clock, begun) = clock();
        clock.set(clock.now().plus(HOUR));
        assert_eq!((clock.steady().since(begun), clock.jumps()), (HOUR, 1));
        clock.set(clock.now().minus(HOUR));
        assert_eq!((clock.steady().since(begun), clock.jumps()), (HOUR, 2));
    }

    #[test]
    fn a_minute_is_no_jump_and_a_second_more_is() {
        for forward in [true, false] {
            let (clock, _) = clock();
            let set = |by| clock.set(if forward { clock.now().plus(by) } else { clock.now().minus(by) });
            set(JUMP);
            assert_eq!(clock.jumps(), 0);
            set(JUMP + Duration::from_secs(1));
            assert_eq!(clock.jumps(), 1);
        }
    }

    #[test]
    fn a_thousand_who_look_at_once_see_one_jump() {
        let (clock, _) = clock();
        clock.set(clock.now().plus(HOUR));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..125).for_each(|_| assert_eq!(clock.jumps(), 1)));
            }
        });
        assert_eq!(clock.jumps(), 1);
    }

    #[test]
    fn what_begins_in_the_future_is_over() {
        let at = Timestamp::from_secs;
        for (begun, over, now, expect) in [
            (100, 700, 99, true),
            (100, 700, 699, true),
            (100, 700, 700, false),
            (100, 700, 40, true),
            (100, 700, 39, false),
        ] {
            assert_eq!(at(now).is_within(at(begun), at(over)), expect, "{begun} to {over} at {now}");
        }
    }
}
