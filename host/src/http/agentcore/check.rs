//! Holds what was sent against its description. Clients check little of it (boto3: what is required, the least lengths and
//! unions), so all of it is checked here, and everything that is wrong is told at once.

use super::json::{Json, Object};
use super::shape::{ANY, Field, Kind, Shape};
use crate::operations::FieldProblem;
use regex::bytes::Regex;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

/// So many problems are told; whoever has more knows enough.
const MOST_TOLD: usize = 32;

/// Everything that is wrong with these values; none where they fit.
pub(super) fn structure(fields: &[Field], values: &Object) -> Vec<FieldProblem> {
    let mut found = Found(Vec::new());
    found.structure("", fields, values);
    found.0.truncate(MOST_TOLD);
    found.0
}

struct Found(Vec<FieldProblem>);

impl Found {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        if self.0.len() < MOST_TOLD {
            self.0.push(FieldProblem { name: path.to_owned(), message: message.into() });
        }
    }

    fn structure(&mut self, path: &str, fields: &[Field], values: &Object) {
        for field in fields {
            let path = join(path, field.name);
            match values.get(field.name) {
                Some(value) => self.value(&path, field.shape, value),
                None if field.required => self.add(&path, "is required"),
                None => {}
            }
        }
    }

    fn value(&mut self, path: &str, shape: &Shape, value: &Json) {
        match (shape.kind, value) {
            (Kind::NotOffered(why), _) => self.add(path, format!("is not offered by this host: {why}")),
            (Kind::Text { min, max, pattern }, Json::Text(text)) => self.text(path, text, min, max, pattern),
            (Kind::Choice(words), Json::Text(text)) if words.contains(&text.as_str()) => {}
            (Kind::Choice(words), Json::Text(_)) => self.add(path, format!("must be one of {}", words.join(", "))),
            (Kind::Flag, Json::Flag(_)) | (Kind::Bytes, Json::Text(_)) => {}
            (Kind::Whole { min, max }, Json::Whole(number)) => {
                if !(min..=max).contains(number) {
                    self.add(path, format!("must be {min} to {max}"));
                }
            }
            (Kind::Time, Json::Whole(_) | Json::Number) => {}
            (Kind::List { min, max, item }, Json::List(items)) => {
                if let Some(message) = outside(items.len(), min, max, "items") {
                    self.add(path, message);
                }
                for (at, value) in items.iter().enumerate().take(10_000) {
                    match value {
                        Json::Null => self.add(&join(path, &at.to_string()), "must not be null"),
                        value => self.value(&join(path, &at.to_string()), item, value),
                    }
                }
            }
            (Kind::Map { min, max, key, value: shape }, Json::Object(members)) => {
                if let Some(message) = outside(members.len(), min, max, "members") {
                    self.add(path, message);
                }
                for (at, (name, value)) in members.iter().enumerate() {
                    if let Kind::Text { min, max, pattern } = key.kind {
                        self.text(&format!("{path} (name {at})"), name, min, max, pattern);
                    }
                    self.value(&join(path, &shown(name)), shape, value);
                }
            }
            (Kind::Structure(fields), Json::Object(members)) => self.structure(path, fields, members),
            (Kind::Union(fields), Json::Object(members)) => {
                if fields.iter().filter(|field| members.contains_key(field.name)).count() == 1 {
                    self.structure(path, fields, members);
                } else {
                    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                    self.add(path, format!("must have exactly one of {}", names.join(", ")));
                }
            }
            (kind, value) => self.add(path, format!("must be {}, not {}", expected(kind), value.kind())),
        }
    }

    fn text(&mut self, path: &str, text: &str, min: u32, max: u32, pattern: &'static str) {
        // The models count characters, and no character is longer than four bytes.
        let length = if text.len() < ANY as usize { text.chars().count() } else { usize::MAX };
        if let Some(message) = outside(length, min, max, "characters") {
            return self.add(path, message);
        }
        if !pattern.is_empty() && !matches(pattern, text) {
            self.add(path, format!("must match `{pattern}`"));
        }
    }
}

fn outside(count: usize, min: u32, max: u32, what: &str) -> Option<String> {
    let count = u32::try_from(count).unwrap_or(ANY);
    if (min..=max).contains(&count) {
        return None;
    }
    Some(match (min, max) {
        (_, ANY) => format!("must have at least {min} {what}"),
        (0, _) => format!("must have at most {max} {what}"),
        _ => format!("must have {min} to {max} {what}"),
    })
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text { .. } | Kind::Choice(_) | Kind::Bytes | Kind::NotOffered(_) => "text",
        Kind::Flag => "true or false",
        Kind::Whole { .. } => "a whole number",
        Kind::Time => "a number of seconds",
        Kind::List { .. } => "a list",
        Kind::Map { .. } | Kind::Structure(_) | Kind::Union(_) => "an object",
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}

/// Whether the whole text matches. Patterns come from the table alone; each is compiled once. One that does not compile
/// matches nothing, and a test compiles them all.
fn matches(pattern: &'static str, text: &str) -> bool {
    static COMPILED: OnceLock<RwLock<HashMap<&'static str, Option<Regex>>>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(RwLock::default);
    if let Some(regex) = compiled.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return regex.as_ref().is_some_and(|regex| regex.is_match(text.as_bytes()));
    }
    // As the models mean them: over the whole value, and with classes of ASCII.
    let regex = Regex::new(&format!("^(?-u:{pattern})$")).ok();
    let matched = regex.as_ref().is_some_and(|regex| regex.is_match(text.as_bytes()));
    compiled.write().unwrap_or_else(PoisonError::into_inner).insert(pattern, regex);
    matched
}

/// Whether a pattern can be compiled at all.
#[cfg(test)]
pub(super) fn compiles(pattern: &str) -> bool {
    Regex::new(&format!("^(?-u:{pattern})$")).is_ok()
}
