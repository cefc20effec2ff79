//! What a component could use a grant for: what users agree to when they grant something to an agent, beside the scopes.

use crate::ids::Malformed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Lines as `attache vet` reads them from a component's bytes: functions that need a grant and can be called, and what its
/// author declares. Sorted, shared, compared as text first: there may be a million grants, and one text for most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority(Arc<str>);

impl Default for Authority {
    fn default() -> Self {
        Self::none()
    }
}

impl Authority {
    /// Nothing that needs a grant; and of a workload that runs elsewhere, whose bytes nobody has seen.
    pub fn none() -> Self {
        Self("[]".into())
    }

    /// Of these lines.
    pub fn of(lines: impl IntoIterator<Item = String>) -> Self {
        let lines: BTreeSet<String> = lines.into_iter().collect();
        Self(serde_json::json!(lines).to_string().into())
    }

    /// From [`Authority::as_str`].
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let lines: BTreeSet<String> =
            serde_json::from_str(text).map_err(|error| Malformed(format!("an authority is no list: {error}")))?;
        Ok(Self::of(lines))
    }

    /// JSON, the same for the same.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In their order.
    pub fn lines(&self) -> Vec<String> {
        // It was made from a list.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Whether it is no more than another.
    pub fn within(&self, other: &Self) -> bool {
        self == other || self.beyond(other).is_empty()
    }

    /// What another does not have.
    pub fn beyond(&self, other: &Self) -> Vec<String> {
        let other: BTreeSet<String> = other.lines().into_iter().collect();
        self.lines().into_iter().filter(|line| !other.contains(line)).collect()
    }
}

impl std::str::FromStr for Authority {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl Serialize for Authority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.lines().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Authority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(Vec::<String>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_more_and_the_order_does_not_matter() {
        let of = |lines: &[&str]| Authority::of(lines.iter().map(|&line| line.to_owned()));
        let (few, many) = (of(&["b", "a"]), of(&["a", "b", "c \"\n"]));
        assert_eq!(few, of(&["a", "b", "a"]));
        assert!(few.within(&many) && !many.within(&few) && Authority::none().within(&few));
        assert_eq!(many.beyond(&few), ["c \"\n"]);
        assert_eq!(Authority::parse(many.as_str()).unwrap(), many);
        assert!(Authority::parse("a").is_err());
    }
}
