//! All grants in memory, sealed as they rest: looking one up costs no I/O, and memory holds no plaintext.

use super::key::{Held, Place};
use crate::ids::{GrantId, Scopes};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The rows. Reads share a lock that is held for a lookup only; writes follow a durable write of the same row.
#[derive(Default)]
pub(super) struct Cache(RwLock<Rows>);

#[derive(Default)]
struct Rows {
    places: HashMap<Place, Vec<Arc<Held>>>,
    ids: HashMap<GrantId, Place>,
}

/// What there is for some wanted scopes.
pub(super) enum Found {
    Covered(Arc<Held>),
    /// The user was asked for them all, and the provider granted fewer.
    Short(Scopes),
    Missing,
}

impl Cache {
    /// The grant that covers these scopes: of several the one with the fewest scopes (least privilege), and of those
    /// the newest.
    pub(super) fn covering(&self, place: &Place, wanted: &Scopes) -> Found {
        let rows = self.read();
        let Some(held) = rows.places.get(place) else { return Found::Missing };
        let mut best: Option<&Arc<Held>> = None;
        let mut short = None;
        for one in held {
            if one.usable.covers(wanted) {
                let rank = |held: &Held| (held.usable.iter().count(), std::cmp::Reverse(held.row.updated_at));
                if best.is_none_or(|best| rank(one) < rank(best)) {
                    best = Some(one);
                }
            } else if one.row.asked.covers(wanted) {
                short = Some(one.usable.missing(wanted));
            }
        }
        match (best, short) {
            (Some(best), _) => Found::Covered(best.clone()),
            (None, Some(missing)) => Found::Short(missing),
            (None, None) => Found::Missing,
        }
    }

    /// The grant for exactly this question to the user.
    pub(super) fn asked(&self, place: &Place, asked: &Scopes) -> Option<Arc<Held>> {
        self.read().places.get(place)?.iter().find(|held| held.row.asked == *asked).cloned()
    }

    pub(super) fn by_id(&self, id: GrantId) -> Option<Arc<Held>> {
        let rows = self.read();
        rows.places.get(rows.ids.get(&id)?)?.iter().find(|held| held.row.id == id).cloned()
    }

    /// Adds it, or replaces the one of the same question.
    pub(super) fn put(&self, place: Place, held: Arc<Held>) {
        let mut rows = self.write();
        let rows = &mut *rows;
        rows.ids.insert(held.row.id, place.clone());
        let here = rows.places.entry(place).or_default();
        match here.iter_mut().find(|other| other.row.asked == held.row.asked) {
            Some(other) => {
                if other.row.id != held.row.id {
                    rows.ids.remove(&other.row.id);
                }
                *other = held;
            }
            None => here.push(held),
        }
    }

    pub(super) fn remove(&self, id: GrantId) {
        let mut rows = self.write();
        let Some(place) = rows.ids.remove(&id) else { return };
        if let Some(here) = rows.places.get_mut(&place) {
            here.retain(|held| held.row.id != id);
            if here.is_empty() {
                rows.places.remove(&place);
            }
        }
    }

    pub(super) fn all(&self) -> Vec<Arc<Held>> {
        self.read().places.values().flatten().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
