//! `[sessions]`: how long a caller's session with an agent lives.

use super::file::{self, At};
use super::problems::Problems;
use super::quantity::Span;
use std::time::Duration;

/// How long sessions live. AgentCore's own limits unless the configuration says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without an invocation; a quarter of an hour unless set.
    pub idle: Duration,
    /// In all; eight hours unless set.
    pub life: Duration,
}

const DEFAULT: SessionLimits = SessionLimits { idle: Duration::from_secs(900), life: Duration::from_secs(28_800) };
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(1_209_600);

pub(super) fn convert(sessions: &file::Sessions, problems: &mut Problems<'_>) -> SessionLimits {
    let mut limit = |name: &str, span: &Option<At<Span>>, unless_set: Duration| {
        let Some(span) = span else { return unless_set };
        let length = span.get_ref().0;
        if !(SHORTEST..=LONGEST).contains(&length) {
            problems.at(&span.span(), format!("`{name}` must be 1 minute to 14 days; write one such as \"15m\""));
        }
        length
    };
    let idle = limit("idle_timeout", &sessions.idle_timeout, DEFAULT.idle);
    let life = limit("max_lifetime", &sessions.max_lifetime, DEFAULT.life);
    SessionLimits { idle, life }
}
