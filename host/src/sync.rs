//! The locks and tasks of the few files whose whole point is in which order threads meet: one flight per key, the table of
//! workload access tokens, the seats. The tests put a scheduler's own in their place and run those files, as they are,
//! through many orders.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
pub(crate) use tokio::spawn;
