//! A seat at the desk: what one invocation holds while it runs.

use super::Refusal;
use super::confined::{Confinement, Watch};
use super::policy::Permit;
use crate::identity::Live;
use crate::ids::{CredentialId, InvocationId, ProviderName};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::collections::HashMap;

/// Most credential handles that one invocation may hold at once.
const MAX_HELD: usize = 64;

/// Calls of one invocation that may be refused, each with its record; those that follow are refused without one. An
/// honest guest meets a few of them. One that asked in a loop would fill the trail, and while that is full nobody else
/// can be served.
pub(super) const MOST_REFUSED: u32 = 64;

/// All invocations that run now.
pub(super) struct Seats(Mutex<HashMap<InvocationId, Place>>);

struct Place {
    return_url: Option<String>,
    /// The rights to use a credential. None holds the credential itself.
    held: HashMap<CredentialId, Permit>,
    refused: u32,
    confinement: Confinement,
}

/// Keeps an invocation seated. Dropping it ends the workload access token and forgets every credential handle.
pub struct Seat {
    seats: Arc<Seats>,
    invocation: InvocationId,
    _live: Live,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().remove(&self.invocation);
    }
}

impl Seats {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(HashMap::new())))
    }

    pub(super) fn take(self: &Arc<Self>, invocation: InvocationId, return_url: Option<String>, live: Live) -> Seat {
        let place = Place { return_url, held: HashMap::new(), refused: 0, confinement: Confinement::none() };
        self.lock().insert(invocation, place);
        Seat { seats: self.clone(), invocation, _live: live }
    }

    pub(super) fn hold(&self, invocation: InvocationId, id: CredentialId, held: Permit) -> Result<(), Refusal> {
        let mut seats = self.lock();
        let place = seats.get_mut(&invocation).ok_or(Refusal::NotBound)?;
        if place.held.len() >= MAX_HELD {
            return Err(Refusal::Denied(format!("an invocation holds at most {MAX_HELD} credentials; drop one first")));
        }
        fault_point!("broker.seat.hold");
        place.held.insert(id, held);
        Ok(())
    }

    pub(super) fn held(&self, invocation: InvocationId, id: CredentialId) -> Result<Permit, Refusal> {
        let seats = self.lock();
        let place = seats.get(&invocation).ok_or(Refusal::NotBound)?;
        place.held.get(&id).cloned().ok_or_else(|| Refusal::InvalidRequest("this credential was given up".into()))
    }

    pub(super) fn release(&self, invocation: InvocationId, id: CredentialId) {
        if let Some(place) = self.lock().get_mut(&invocation) {
            place.held.remove(&id);
        }
    }

    /// Confines the invocation to this provider, or refuses where it is confined to another: before anything leaves.
    pub(super) fn confine(&self, invocation: InvocationId, to: &ProviderName) -> Result<(), Refusal> {
        self.lock().get(&invocation).ok_or(Refusal::NotBound)?.confinement.confine(to)
    }

    /// Refuses what the invocation is confined away from by now.
    pub(super) fn admits(&self, invocation: InvocationId, provider: &ProviderName) -> Result<(), Refusal> {
        self.lock().get(&invocation).ok_or(Refusal::NotBound)?.confinement.admits(provider)
    }

    /// What tells when the invocation is confined.
    pub(super) fn confined(&self, invocation: InvocationId) -> Result<Watch, Refusal> {
        Ok(self.lock().get(&invocation).ok_or(Refusal::NotBound)?.confinement.watch())
    }

    /// Whether this invocation is still listened to.
    pub(super) fn listen(&self, invocation: InvocationId) -> Result<(), Refusal> {
        match self.lock().get(&invocation).ok_or(Refusal::NotBound)?.refused {
            0..MOST_REFUSED => Ok(()),
            _ => Err(Refusal::Denied(format!("this invocation was refused {MOST_REFUSED} times; start another"))),
        }
    }

    /// Counts a refusal. True for the last that is written down.
    pub(super) fn count_refused(&self, invocation: InvocationId) -> bool {
        let mut seats = self.lock();
        let Some(place) = seats.get_mut(&invocation) else { return false };
        place.refused = place.refused.saturating_add(1);
        place.refused == MOST_REFUSED
    }

    pub(super) fn return_url(&self, invocation: InvocationId) -> Result<Option<String>, Refusal> {
        self.lock().get(&invocation).map(|place| place.return_url.clone()).ok_or(Refusal::NotBound)
    }

    /// A panic while the lock was held leaves a map that is still whole: every change is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<InvocationId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
