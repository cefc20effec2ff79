//! Signatures that were used lately.
//!
//! A signature is good until its time is five minutes past, so whoever sees a request (a proxy that ends TLS and logs
//! too much) could send it again and be minted a token. Most clients of AWS (Go, Java, JavaScript, Rust) put a fresh
//! `amz-sdk-invocation-id` into every call and sign it: there the same signature twice is the same request twice, and the
//! second is refused, whatever the operation. botocore adds that header after it has signed, so that two honest requests
//! of one second, such as ten threads that want the same token, are equal to the letter. They are not told from a replay
//! and not refused: the window is all that guards them, as at AWS itself.
//!
//! Only signatures that were verified are remembered, so strangers cannot fill it. It holds what the last ten to twenty
//! minutes brought, and at most [`MOST`] of each half: beyond that the oldest are forgotten first. It is of this process:
//! a restart forgets.

use crate::clock::Timestamp;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of each of two generations; 16 bytes each and the table's overhead, 20 MiB or so at the most.
const MOST: usize = 1 << 18;

/// The signatures of lately.
pub(super) struct Replays {
    /// A signature is good for no longer than this, from when it is first seen.
    span: Duration,
    state: Mutex<State>,
}

struct State {
    began: Timestamp,
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
}

impl Replays {
    pub(super) fn new(span: Duration, now: Timestamp) -> Self {
        Self { span, state: Mutex::new(State { began: now, young: HashSet::new(), old: HashSet::new() }) }
    }

    /// Remembers this signature. Whether it is new.
    pub(super) fn first(&self, signature: &[u8; 32], now: Timestamp) -> bool {
        // Half of it tells two apart as well as all of it does.
        let mut half = [0; 16];
        half.copy_from_slice(&signature[..16]);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(state.began) >= self.span || state.young.len() >= MOST {
            if now.since(state.began) < self.span {
                tracing::warn!(
                    most = MOST,
                    "signatures come faster than they are remembered; the oldest are forgotten"
                );
            }
            // After a long silence the young are as old as the old.
            let stale = now.since(state.began) >= self.span * 2;
            let young = std::mem::take(&mut state.young);
            state.old = if stale { HashSet::new() } else { young };
            state.began = now;
        }
        !state.old.contains(&half) && state.young.insert(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(n: u64) -> [u8; 32] {
        let mut signature = [0; 32];
        signature[..8].copy_from_slice(&n.to_be_bytes());
        signature
    }

    #[test]
    fn a_signature_is_taken_once_for_as_long_as_it_is_good() {
        let span = Duration::from_secs(600);
        let start = Timestamp::from_secs(1_700_000_000);
        let replays = Replays::new(span, start);
        // Just before a generation ends, so that the next must still know it.
        let seen = start.plus(Duration::from_secs(599));
        assert!(replays.first(&signature(1), seen));
        for later in [0, 1, 300, 599] {
            assert!(!replays.first(&signature(1), seen.plus(Duration::from_secs(later))), "{later}");
        }
        assert!(replays.first(&signature(2), seen));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let start = Timestamp::from_secs(1_700_000_000);
        let replays = Replays::new(Duration::from_secs(600), start);
        for n in 0..3 * MOST as u64 {
            assert!(replays.first(&signature(n), start));
        }
        let state = replays.state.lock().unwrap();
        assert!(state.young.len() <= MOST && state.old.len() <= MOST);
        drop(state);
        assert!(!replays.first(&signature(3 * MOST as u64 - 1), start), "the newest are kept");
    }
}
