//! Between columns and our words. What does not parse is an error, never a default.

use crate::clock::Timestamp;
use crate::ids::{Malformed, Scopes};
use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde::de::DeserializeOwned;
use std::str::FromStr;

fn unreadable(row: &Row<'_>, column: &str, kind: Type, why: Malformed) -> Error {
    Error::FromSqlConversionFailure(row.as_ref().column_index(column).unwrap_or(usize::MAX), kind, Box::new(why))
}

/// Text that parses.
pub(super) fn parsed<T: FromStr<Err = Malformed>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|why| unreadable(row, column, Type::Text, why))
}

/// Text that parses, or nothing.
pub(super) fn parsed_or_none<T: FromStr<Err = Malformed>>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|why| unreadable(row, column, Type::Text, why)),
    }
}

/// One of a few words or numbers.
pub(super) fn one_of<T>(row: &Row<'_>, column: &str, found: Option<T>) -> rusqlite::Result<T> {
    found.ok_or_else(|| unreadable(row, column, Type::Null, Malformed(format!("`{column}` has no such value"))))
}

/// Sixteen bytes, as an id.
pub(super) fn id<T>(row: &Row<'_>, column: &str, from: fn([u8; 16]) -> T) -> rusqlite::Result<T> {
    row.get(column).map(from)
}

/// Scopes, joined by spaces.
pub(super) fn scopes(row: &Row<'_>, column: &str) -> rusqlite::Result<Scopes> {
    let joined = row.get_ref(column)?.as_str()?;
    Scopes::parse(joined.split(' ').filter(|scope| !scope.is_empty()))
        .map_err(|why| unreadable(row, column, Type::Text, why))
}

/// Words, joined by spaces.
pub(super) fn words(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<String>> {
    let joined = row.get_ref(column)?.as_str()?;
    Ok(joined.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

/// A time.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    count(row, column).map(Timestamp::from_millis)
}

/// A time, or nothing.
pub(super) fn time_or_none(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(column)?.as_i64_or_null()? {
        None => Ok(None),
        Some(_) => time(row, column).map(Some),
    }
}

/// A number that is not negative.
pub(super) fn count(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number)
        .map_err(|_| unreadable(row, column, Type::Integer, Malformed(format!("`{column}` must not be negative"))))
}

/// As SQLite counts; what is beyond is the greatest.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970.
pub(super) fn millis(time: Timestamp) -> i64 {
    number(time.millis())
}

/// JSON, as what it should be.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        let place = row.as_ref().column_index(column).unwrap_or(usize::MAX);
        Error::FromSqlConversionFailure(place, Type::Text, Box::new(error))
    })
}
