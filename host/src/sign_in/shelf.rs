//! Things that are kept for a fixed time, by the hash of a secret that somebody else holds.

use crate::clock::{Clock, Steady};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// At most `most` things, each for `lifetime`. The oldest go first when there are more.
pub(super) struct Shelf<T> {
    lifetime: Duration,
    most: usize,
    clock: Clock,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    things: HashMap<[u8; 32], (Steady, T)>,
    /// In the order in which they came, which is the order in which they expire. Those that were taken stay until then.
    order: VecDeque<(Steady, [u8; 32])>,
}

impl<T> Shelf<T> {
    pub(super) fn new(lifetime: Duration, most: usize, clock: Clock) -> Self {
        let inner = Inner { things: HashMap::new(), order: VecDeque::new() };
        Self { lifetime, most, clock, inner: Mutex::new(inner) }
    }

    /// Keeps it. Returns until when.
    pub(super) fn put(&self, key: [u8; 32], thing: T) -> Steady {
        let now = self.clock.steady();
        let until = now.plus(self.lifetime);
        let mut inner = self.inner();
        while let Some((expires_at, oldest)) = inner.order.front().copied() {
            if now < expires_at && inner.order.len() < self.most {
                break;
            }
            inner.order.pop_front();
            inner.things.remove(&oldest);
        }
        inner.order.push_back((until, key));
        inner.things.insert(key, (until, thing));
        until
    }

    /// Takes it away: of two that ask, one gets it.
    pub(super) fn take(&self, key: &[u8; 32]) -> Option<T> {
        let (until, thing) = self.inner().things.remove(key)?;
        (self.clock.steady() < until).then_some(thing)
    }

    /// What is kept, if its time has not passed.
    pub(super) fn find(&self, key: &[u8; 32]) -> Option<T>
    where
        T: Clone,
    {
        let inner = self.inner();
        let (until, thing) = inner.things.get(key)?;
        (self.clock.steady() < *until).then(|| thing.clone())
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn shelf(most: usize) -> (Shelf<u8>, Clock) {
        let clock = Clock::held(Timestamp::from_secs(1));
        (Shelf::new(Duration::from_secs(60), most, clock.clone()), clock)
    }

    #[test]
    fn what_is_taken_is_gone() {
        let (shelf, _) = shelf(9);
        shelf.put([1; 32], 1);
        assert_eq!(shelf.find(&[1; 32]), Some(1));
        assert_eq!(shelf.take(&[1; 32]), Some(1));
        assert_eq!((shelf.take(&[1; 32]), shelf.find(&[1; 32])), (None, None));
    }

    #[test]
    fn nothing_is_found_after_its_time() {
        let (shelf, clock) = shelf(9);
        shelf.put([1; 32], 1);
        shelf.put([2; 32], 2);
        clock.advance(Duration::from_secs(60));
        assert_eq!((shelf.find(&[1; 32]), shelf.take(&[2; 32])), (None, None));
        shelf.put([3; 32], 3);
        assert_eq!(shelf.inner().things.len(), 1, "what expired is forgotten");
    }

    #[test]
    fn nothing_is_kept_longer_for_a_clock_that_is_turned_back() {
        let (shelf, clock) = shelf(9);
        clock.advance(Duration::from_secs(3600));
        shelf.put([1; 32], 1);
        clock.set(Timestamp::from_secs(1));
        assert_eq!(shelf.find(&[1; 32]), Some(1));
        clock.advance(Duration::from_secs(60));
        assert_eq!(shelf.find(&[1; 32]), None);
    }

    #[test]
    fn a_flood_pushes_out_the_oldest_and_takes_no_more_room() {
        let (shelf, _) = shelf(4);
        for n in 0..100 {
            shelf.put([n; 32], n);
        }
        let (things, order) = {
            let inner = shelf.inner();
            (inner.things.len(), inner.order.len())
        };
        assert_eq!((things, order), (4, 4));
        assert_eq!((shelf.find(&[95; 32]), shelf.find(&[96; 32])), (None, Some(96)));
    }
}
