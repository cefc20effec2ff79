//! JSON as callers send it: one meaning for every reader, and text that is wiped when it is no longer needed.
//!
//! A member that appears twice is refused at every depth: of two readers, one would take the first and the other the last.
//! Members that nobody knows are left alone, as Amazon's services do, so that a newer client still works. `null` is the same as
//! nothing.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// A value. No `Debug`: it may hold a credential.
pub(super) enum Json {
    Null,
    Flag(bool),
    Whole(i64),
    /// A number that is no whole one, or too large for one.
    Number,
    Text(Zeroizing<String>),
    List(Vec<Json>),
    Object(Object),
}

/// Members by name, none of them null.
pub(super) type Object = BTreeMap<String, Json>;

impl Json {
    /// Reads one object and nothing after it. No bytes at all are an object without members.
    ///
    /// # Errors
    /// What is wrong and where, without the text itself.
    pub(super) fn object(bytes: &[u8]) -> Result<Object, String> {
        if bytes.is_empty() {
            return Ok(Object::new());
        }
        match serde_json::from_slice(bytes) {
            Ok(Self::Object(members)) => Ok(members),
            Ok(_) => Err("the body is no JSON object".to_owned()),
            Err(error) => Err(match error.classify() {
                serde_json::error::Category::Data => error.to_string(),
                _ => format!(
                    "the body is no JSON: it breaks off or goes wrong at line {} column {}",
                    error.line(),
                    error.column()
                ),
            }),
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Whole(_) | Self::Number => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        // serde_json itself refuses nesting deeper than 128.
        parser.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Number, Json::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let value: Json = members.next_value()?;
            if object.contains_key(&name) {
                let shown: String = name.chars().take(64).collect();
                return Err(A::Error::custom(format_args!("`{}` appears twice", shown.escape_debug())));
            }
            object.insert(name, value);
        }
        object.retain(|_, value| !matches!(value, Json::Null));
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Json::object(text.as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn a_member_that_appears_twice_is_refused_at_every_depth() {
        for text in [
            r#"{"name":"a","name":"b"}"#,
            r#"{"a":{"name":1,"name":1}}"#,
            r#"{"a":[{"name":1,"name":null}]}"#,
            r#"{"name":1,"\u006eame":2}"#,
        ] {
            assert!(refusal(text).contains("`name` appears twice"), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in
            ["[]", "1", "\"x\"", "null", "{", "{}}", "{} {}", "{\"a\":1,}", "\u{feff}{}", "{'a':1}", "{\"a\":NaN}"]
        {
            assert!(!refusal(text).is_empty(), "{text}");
        }
        assert!(!refusal(&format!("{}{}", "{\"a\":".repeat(5000), "}".repeat(5000))).is_empty(), "nesting has an end");
    }

    #[test]
    fn nothing_is_an_object_without_members_and_null_is_nothing() {
        assert!(Json::object(b"").is_ok_and(|object| object.is_empty()));
        assert!(Json::object(br#"{"name":null}"#).is_ok_and(|object| object.is_empty()));
    }

    #[test]
    fn a_refusal_does_not_show_what_was_sent() {
        assert!(!refusal(r#"{"clientSecret":"hunter2"#).contains("hunter2"));
        assert!(!refusal(r#"{"clientSecret":hunter2}"#).contains("hunter2"));
    }
}
