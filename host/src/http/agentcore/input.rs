//! From a request to what was asked: path, query, headers and body under one roof, checked against the table.

use super::calls::Call;
use super::check;
use super::fault::Fault;
use super::json::{Json, Object};
use super::shape::{Kind, Place};
use crate::operations::OperationError;
use http::request::Parts;
use std::collections::HashMap;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Path parameters, decoded, by name.
pub(super) type Path = HashMap<String, String>;

/// What was asked, by the names of the table. All of it fits.
pub(super) struct Input(Object);

impl Input {
    /// Reads and checks all of it. A body that is no JSON, and a parameter that comes twice, cannot be understood; what can,
    /// and does not fit, is told field by field.
    ///
    /// # Errors
    /// A `ValidationException`.
    pub(super) fn read(call: &Call, head: &Parts, path: &Path, body: &[u8]) -> Result<Self, Fault> {
        let payload = call.input.iter().any(|field| field.place == Place::Payload);
        let in_body = |name: &str| call.input.iter().any(|field| field.name == name && field.place == Place::Body);
        let mut values = match payload {
            true => Object::new(),
            false => Json::object(body).map_err(Fault::unreadable)?,
        };
        // What stands elsewhere is not read from the body, whatever the body says.
        values.retain(|name, _| in_body(name));
        let query: Vec<(String, String)> =
            form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        for field in call.input {
            let value = match field.place {
                Place::Body => None,
                // There is always one, if only an empty one.
                Place::Payload => Some(text("")),
                Place::Path => path.get(field.name).map(|value| text(value)),
                Place::Query(name) => {
                    let mut found = query.iter().filter(|(key, _)| key == name).map(|(_, value)| text(value));
                    match field.shape.kind {
                        Kind::List { .. } => {
                            let items: Vec<Json> = found.collect();
                            (!items.is_empty()).then_some(Json::List(items))
                        }
                        _ => {
                            let value = found.next();
                            if found.next().is_some() {
                                return Err(Fault::unreadable(format!("send `{name}` once in the query")));
                            }
                            value
                        }
                    }
                }
                Place::Header(name) => {
                    let mut found = head.headers.get_all(name).iter();
                    let value = found.next();
                    if found.next().is_some() {
                        return Err(Fault::unreadable(format!("send the header `{name}` once")));
                    }
                    match value.map(|value| value.to_str()) {
                        None => None,
                        Some(Ok(value)) => Some(text(value)),
                        Some(Err(_)) => return Err(Fault::unreadable(format!("the header `{name}` is no ASCII"))),
                    }
                }
            };
            if let Some(value) = value {
                values.insert(field.name.to_owned(), value);
            }
        }
        let problems = check::structure(call.input, &values);
        if problems.is_empty() { Ok(Self(values)) } else { Err(Fault::invalid(problems)) }
    }

    /// For reading.
    pub(super) fn values(&self) -> Values<'_> {
        Values { path: String::new(), object: &self.0 }
    }
}

fn text(value: &str) -> Json {
    Json::Text(Zeroizing::new(value.to_owned()))
}

/// Members of one structure of the input, by name. What is absent here was allowed to be.
#[derive(Clone)]
pub(super) struct Values<'a> {
    path: String,
    object: &'a Object,
}

impl<'a> Values<'a> {
    /// A text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, OperationError> {
        self.may_text(name).ok_or_else(|| OperationError::field(self.at(name), "is required"))
    }

    /// A text, if it is there.
    pub(super) fn may_text(&self, name: &str) -> Option<&'a str> {
        match self.object.get(name) {
            Some(Json::Text(text)) => Some(text.as_str()),
            _ => None,
        }
    }

    /// A text that is a name of ours.
    pub(super) fn parsed<T>(&self, name: &str) -> Result<T, OperationError>
    where
        T: std::str::FromStr<Err = crate::ids::Malformed>,
    {
        self.text(name)?.parse().map_err(|malformed| OperationError::malformed(&self.at(name), malformed))
    }

    /// As [`Values::parsed`], if it is there.
    pub(super) fn may_parsed<T>(&self, name: &str) -> Result<Option<T>, OperationError>
    where
        T: std::str::FromStr<Err = crate::ids::Malformed>,
    {
        match self.may_text(name) {
            Some(_) => self.parsed(name).map(Some),
            None => Ok(None),
        }
    }

    /// Texts of a list, none where it is absent.
    pub(super) fn may_texts(&self, name: &str) -> Option<Vec<String>> {
        match self.object.get(name) {
            Some(Json::List(items)) => Some(
                items
                    .iter()
                    .filter_map(|item| match item {
                        Json::Text(text) => Some(text.to_string()),
                        _ => None,
                    })
                    .collect(),
            ),
            _ => None,
        }
    }

    /// Texts of a list.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.may_texts(name).unwrap_or_default()
    }

    /// Texts by name.
    pub(super) fn map(&self, name: &str) -> Vec<(String, String)> {
        match self.object.get(name) {
            Some(Json::Object(members)) => members
                .iter()
                .filter_map(|(name, value)| match value {
                    Json::Text(text) => Some((name.clone(), text.to_string())),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// True only where it says so.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.object.get(name), Some(Json::Flag(true)))
    }

    /// A number that counts something.
    pub(super) fn count(&self, name: &str) -> Option<usize> {
        match self.object.get(name) {
            Some(Json::Whole(number)) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A structure within this one.
    pub(super) fn may_inner(&self, name: &str) -> Option<Values<'a>> {
        match self.object.get(name) {
            Some(Json::Object(object)) => Some(Values { path: self.at(name), object }),
            _ => None,
        }
    }

    /// A structure within this one that must be there.
    pub(super) fn inner(&self, name: &str) -> Result<Values<'a>, OperationError> {
        self.may_inner(name).ok_or_else(|| OperationError::field(self.at(name), "is required"))
    }

    /// Where a member stands, for messages.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
