//! All grants in memory, sealed as they rest: looking one up costs no I/O, and memory holds no plaintext.

use super::grants::GrantFilter;
use super::key::{Held, Place};
use super::wanted::Wanted;
use crate::directory::Authority;
use crate::egress::Destinations;
use crate::ids::{GrantId, Scopes, UserId};
use crate::seal::Sealer;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The rows. Reads share a lock that is held for a lookup only; writes follow a durable write of the same row.
#[derive(Default)]
pub(super) struct Cache(RwLock<Rows>);

#[derive(Default)]
struct Rows {
    places: HashMap<Place, Vec<Arc<Held>>>,
    ids: HashMap<GrantId, Place>,
    users: HashMap<UserId, HashSet<Place>>,
}

/// What there is for some wanted scopes.
pub(super) enum Found {
    Covered(Arc<Held>),
    /// The user was asked for them all, and the provider granted fewer.
    Short(Scopes),
    Missing,
}

impl Cache {
    /// The grant for just these resources that covers these scopes, is for no more than may be used, and whose user was told of
    /// all places where its tokens may be sent `now` and of all that the agent's bytes could use it for: of several the one with the fewest scopes (least privilege), and of those
    /// the newest.
    pub(super) fn covering(&self, place: &Place, wanted: &Wanted, now: &Destinations, authority: &Authority) -> Found {
        let rows = self.read();
        let Some(held) = rows.places.get(place) else { return Found::Missing };
        let mut best: Option<&Arc<Held>> = None;
        let mut short = None;
        let (scopes, resources) = (&wanted.scopes, wanted.resources());
        let fits = |one: &&Arc<Held>| {
            one.row.resources == resources
                && wanted.admits(&one.row.asked)
                && one.told_of(now)
                && one.told_of_authority(authority)
        };
        for one in held.iter().filter(fits) {
            if one.usable.covers(scopes) {
                let rank = |held: &Held| (held.usable.iter().count(), std::cmp::Reverse(held.row.updated_at));
                if best.is_none_or(|best| rank(one) < rank(best)) {
                    best = Some(one);
                }
            } else if one.row.asked.covers(scopes) {
                short = Some(one.usable.missing(scopes));
            }
        }
        match (best, short) {
            (Some(best), _) => Found::Covered(best.clone()),
            (None, Some(missing)) => Found::Short(missing),
            (None, None) => Found::Missing,
        }
    }

    /// The grant for exactly this question to the user.
    pub(super) fn asked(&self, place: &Place, wanted: &Wanted) -> Option<Arc<Held>> {
        let same = |held: &&Arc<Held>| held.row.asked == wanted.scopes && held.row.resources == wanted.resources();
        self.read().places.get(place)?.iter().find(same).cloned()
    }

    /// All grants at this place for just these resources.
    pub(super) fn at(&self, place: &Place, resources: &[String]) -> Vec<Arc<Held>> {
        let rows = self.read();
        let here = rows.places.get(place).into_iter().flatten();
        here.filter(|held| held.row.resources == resources).cloned().collect()
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
        if !rows.places.contains_key(&place) {
            rows.users.entry(held.row.user.clone()).or_default().insert(place.clone());
        }
        let here = rows.places.entry(place).or_default();
        let same =
            |other: &&mut Arc<Held>| other.row.asked == held.row.asked && other.row.resources == held.row.resources;
        match here.iter_mut().find(same) {
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
        let rows = &mut *rows;
        let Some(place) = rows.ids.remove(&id) else { return };
        let Some(here) = rows.places.get_mut(&place) else { return };
        let Some(at) = here.iter().position(|held| held.row.id == id) else { return };
        let gone = here.swap_remove(at);
        if !here.is_empty() {
            return;
        }
        rows.places.remove(&place);
        if let Some(places) = rows.users.get_mut(&gone.row.user) {
            places.remove(&place);
            if places.is_empty() {
                rows.users.remove(&gone.row.user);
            }
        }
    }

    /// Those of one user are found at once; for the rest all are looked at.
    pub(super) fn taken_by(&self, filter: &GrantFilter) -> Vec<Arc<Held>> {
        let rows = self.read();
        let takes = |held: &&Arc<Held>| filter.takes(&held.row);
        match &filter.user {
            Some(user) => {
                let places = rows.users.get(user).into_iter().flatten();
                places.filter_map(|place| rows.places.get(place)).flatten().filter(takes).cloned().collect()
            }
            None => rows.places.values().flatten().filter(takes).cloned().collect(),
        }
    }

    /// Those that were sealed under another key than the active one.
    pub(super) fn stale(&self, sealer: &Sealer) -> Vec<Arc<Held>> {
        let rows = self.read();
        rows.places.values().flatten().filter(|held| sealer.is_stale(&held.row.sealed)).cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
