//! One flight per key: what must not be asked for twice at once is asked for by a task of its own, and whoever else wants
//! it meanwhile waits for that. A caller that goes away stops nothing.
//!
//! Locks and tasks come from `sync`, so that the tests can run this very file under a scheduler of their own,
//! through the orders in which threads may meet here.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError, spawn};
use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use std::collections::HashMap;
use std::hash::Hash;

/// A flight, for all who wait for it.
pub(super) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// What is on its way.
pub(super) struct Flights<K, T: Clone> {
    flying: Mutex<HashMap<K, Flight<T>>>,
    /// What is told of a flight that ended by a panic.
    lost: fn() -> T,
}

impl<K, T> Flights<K, T>
where
    K: Copy + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(super) fn new(lost: fn() -> T) -> Arc<Self> {
        Arc::new(Self { flying: Mutex::default(), lost })
    }

    /// The flight that is on its way, or else the one that `prepare` makes ready, unless it says why there is none to be
    /// had. It is asked under the lock under which flights land: whatever the one before it left behind, it sees.
    pub(super) fn board<N, F>(self: &Arc<Self>, key: K, prepare: impl FnOnce() -> Result<F, N>) -> Result<Flight<T>, N>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut flying = self.lock();
        if let Some(flight) = flying.get(&key) {
            return Ok(flight.clone());
        }
        let journey = prepare()?;
        let flights = self.clone();
        let task = spawn(async move {
            // It lands once all is done that others must see, and even if it panics.
            let _landing = Landing { flights, key };
            journey.await
        });
        let lost = self.lost;
        let flight = async move { task.await.unwrap_or_else(|_| lost()) }.boxed().shared();
        flying.insert(key, flight.clone());
        Ok(flight)
    }
}

impl<K, T: Clone> Flights<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<T>>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Landing<K: Copy + Eq + Hash, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
}

impl<K: Copy + Eq + Hash, T: Clone> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}
