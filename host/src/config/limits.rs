//! `[limits]`: what one caller or one agent may take of the host, so that the rest of it is there for others.

use super::file::{self, At};
use super::problems::Problems;
use super::quantity::Count;
use std::num::NonZeroU32;

/// Shares of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Invocations at once of one caller: a user, or an access key where there is no verified user. A quarter of
    /// `max_instances` unless set, and four of a small host: it takes four who ask for all they can get to fill the host.
    pub caller_invocations: u32,
    /// Invocations at once of one agent. Half of `max_instances` unless set: a favourite of many users leaves room for
    /// another.
    pub agent_invocations: u32,
    /// Invocations a second of one caller, over any length of time; ten times as many at once. 1,000 unless set: above what
    /// one person does by far, and below what keeps a host busy.
    pub caller_rate: NonZeroU32,
    /// Invocations a second of one agent. 10,000 unless set.
    pub agent_rate: NonZeroU32,
    /// Whether agents are confined that do not say otherwise.
    pub confine: bool,
}

/// A small host has no quarters to speak of.
const FEW: u32 = 4;

impl Limits {
    /// Unless set, of a host with so many places.
    pub fn of(places: u32) -> Self {
        let share = |part: u32| (places / part).max(FEW).min(places);
        let rate = |rate: u32| NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
        Self {
            caller_invocations: share(4),
            agent_invocations: share(2),
            caller_rate: rate(1_000),
            agent_rate: rate(10_000),
            confine: false,
        }
    }
}

pub(super) fn convert(limits: &file::Limits, places: u32, problems: &mut Problems<'_>) -> Limits {
    let standard = Limits::of(places);
    let mut share = |name: &str, count: &Option<At<Count>>, unless_set: u32| {
        let Some(count) = count else { return unless_set };
        let number = count.get_ref().0;
        if number > places {
            problems.at(
                &count.span(),
                format!(
                    "`{name}` is above the {places} invocations that run at once at all (`max_instances`); lower it"
                ),
            );
        }
        number
    };
    let rate = |count: &Option<Count>, unless_set: NonZeroU32| {
        count.as_ref().and_then(|count| NonZeroU32::new(count.0)).unwrap_or(unless_set)
    };
    Limits {
        caller_invocations: share("caller_invocations", &limits.caller_invocations, standard.caller_invocations),
        agent_invocations: share("agent_invocations", &limits.agent_invocations, standard.agent_invocations),
        caller_rate: rate(&limits.caller_rate, standard.caller_rate),
        agent_rate: rate(&limits.agent_rate, standard.agent_rate),
        confine: limits.confine,
    }
}
