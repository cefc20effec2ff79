//! Tags: an operator's own words on a provider. They decide nothing.

use crate::ids::Malformed;
use std::collections::BTreeMap;

/// At most fifty, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<String, String>);

const MOST: usize = 50;

impl Tags {
    /// From pairs, of which a later one replaces an earlier one of the same key. The limits are AgentCore's.
    ///
    /// # Errors
    /// [`Malformed`] says which limit.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Malformed> {
        Self::default().with(pairs)
    }

    /// These and more.
    ///
    /// # Errors
    /// As [`Tags::parse`].
    pub fn with(mut self, pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Malformed> {
        for (key, value) in pairs {
            let plain =
                |text: &str| text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "._:/=+@-".contains(c));
            if !(1..=128).contains(&key.chars().count())
                || value.chars().count() > 256
                || !plain(&key)
                || !plain(&value)
            {
                return Err(Malformed(
                    "a tag is a key of 1 to 128 and a value of up to 256 letters, digits, spaces and `._:/=+@-`".into(),
                ));
            }
            self.0.insert(key, value);
        }
        if self.0.len() > MOST {
            return Err(Malformed(format!("there can be {MOST} tags; remove some first")));
        }
        Ok(self)
    }

    /// These without some; keys that are not there do not matter.
    #[must_use]
    pub fn without<'a>(mut self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        for key in keys {
            self.0.remove(key);
        }
        self
    }

    /// In the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(super) fn stored(&self) -> String {
        serde_json::Value::from_iter(self.0.clone()).to_string()
    }

    pub(super) fn read(stored: &str) -> Result<Self, Malformed> {
        let pairs: BTreeMap<String, String> =
            serde_json::from_str(stored).map_err(|_| Malformed("its tags are not understood".into()))?;
        Self::parse(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> [(String, String); 1] {
        [(key.into(), value.into())]
    }

    #[test]
    fn tags_keep_to_their_limits_and_come_back_as_they_were_stored() {
        let fifty = Tags::parse((0..50).map(|n| (format!("k{n}"), String::new()))).unwrap();
        assert_eq!(Tags::read(&fifty.stored()).unwrap(), fifty);
        assert!(fifty.clone().with(pair("k0", "again")).is_ok());
        assert!(fifty.clone().with(pair("one more", "")).is_err());
        assert!(fifty.without(["k0", "absent"]).with(pair("one more", "")).is_ok());
        assert!(Tags::parse(pair(&"k".repeat(128), &"v".repeat(256))).is_ok());
        for (key, value) in [("", ""), (&*"k".repeat(129), ""), ("k", &*"v".repeat(257)), ("k<", ""), ("k", "v\"")] {
            assert!(Tags::parse(pair(key, value)).is_err(), "{key} {value}");
        }
    }
}
