//! Tags: words that operators hang on what they manage. Nothing is decided by them.

use crate::ids::Malformed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tags by key, at most fifty, as AgentCore has them: keys of 1 to 128 and values of up to 256 characters, both of
/// `A-Z a-z 0-9 . _ : / = + @ -` and white space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Tags(BTreeMap<String, String>);

/// AgentCore's limit.
const MOST: usize = 50;

impl Tags {
    /// Checks them.
    ///
    /// # Errors
    /// [`Malformed`] names the first bad one, or says that there are too many.
    pub fn parse(tags: impl IntoIterator<Item = (String, String)>) -> Result<Self, Malformed> {
        let mut all = BTreeMap::new();
        for (key, value) in tags {
            if !(1..=128).contains(&key.len()) || !key.bytes().all(allowed) {
                let shown: String = key.chars().take(64).collect();
                return Err(Malformed(format!("`{}` is no tag key; {}", shown.escape_debug(), rule("1 to 128"))));
            }
            if value.len() > 256 || !value.bytes().all(allowed) {
                return Err(Malformed(format!("the value of tag `{key}` is not allowed; {}", rule("up to 256"))));
            }
            all.insert(key, value);
        }
        Self(all).bounded()
    }

    /// With these too; a key that is there already gets the new value.
    ///
    /// # Errors
    /// [`Malformed`] where that would be too many.
    pub fn with(mut self, more: Tags) -> Result<Self, Malformed> {
        self.0.extend(more.0);
        self.bounded()
    }

    /// Without these keys. One that is not there is no mistake.
    pub fn without(mut self, keys: &[String]) -> Self {
        self.0.retain(|key, _| !keys.contains(key));
        self
    }

    /// By key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bounded(self) -> Result<Self, Malformed> {
        match self.0.len() {
            0..=MOST => Ok(self),
            _ => Err(Malformed(format!("at most {MOST} tags stand on one thing; remove some"))),
        }
    }
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/=+@- \t\n\r\x0b\x0c".contains(&byte)
}

fn rule(length: &str) -> String {
    format!("use {length} of `A-Z a-z 0-9 . _ : / = + @ -` and white space")
}

impl TryFrom<BTreeMap<String, String>> for Tags {
    type Error = Malformed;
    fn try_from(tags: BTreeMap<String, String>) -> Result<Self, Malformed> {
        Self::parse(tags)
    }
}

impl From<Tags> for BTreeMap<String, String> {
    fn from(tags: Tags) -> Self {
        tags.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tags: &[(&str, &str)]) -> Result<Tags, Malformed> {
        Tags::parse(tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn tags_are_within_the_limits_of_agentcore() {
        let (longest_key, longest_value) = ("k".repeat(128), "v".repeat(256));
        for good in
            [("team", "payments"), ("a:b/c=d+e@f-g.h_i", ""), ("cost centre", "4 2"), (&*longest_key, &*longest_value)]
        {
            assert_eq!(parse(&[good]).unwrap().get(good.0), Some(good.1));
        }
        let (long_key, long_value) = ("k".repeat(129), "v".repeat(257));
        for bad in [("", "x"), ("käse", "x"), ("a,b", "x"), ("a", "x;y"), (&*long_key, "x"), ("a", &*long_value)] {
            assert!(parse(&[bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn fifty_tags_and_no_more() {
        let many = |count: usize| Tags::parse((0..count).map(|i| (format!("key-{i}"), String::new())));
        let fifty = many(50).unwrap();
        assert!(many(51).is_err());
        assert!(fifty.clone().with(parse(&[("key-0", "again")]).unwrap()).is_ok(), "a value is replaced");
        assert!(fifty.clone().with(parse(&[("another", "")]).unwrap()).is_err());
        assert!(fifty.without(&["key-0".into(), "unknown".into()]).with(parse(&[("another", "")]).unwrap()).is_ok());
    }
}
