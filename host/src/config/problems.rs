//! Everything that is wrong with a configuration, told at once.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration `{}` cannot be read; name another with `--config`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was read and is not accepted.
    #[error("the configuration `{}` is refused:{}", path.display(), Listed(problems))]
    Refused {
        /// Which.
        path: PathBuf,
        /// What is wrong, in the order of the file.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, counted from 1; none where no line is to blame.
    pub line: Option<usize>,
    /// What, and what to do. Never a secret.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

struct Listed<'a>(&'a [Problem]);
impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// Collects problems while the file is turned into settings.
pub(super) struct Problems<'a> {
    source: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, found: Vec::new() }
    }

    /// One more, at this place.
    pub(super) fn at(&mut self, span: &Range<usize>, text: impl Into<String>) {
        self.found.push(Problem { line: Some(line_of(self.source, span.start)), text: text.into() });
    }

    /// The value, or one more problem at this place.
    pub(super) fn take<T, E: fmt::Display>(&mut self, span: &Range<usize>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.at(span, error.to_string())).ok()
    }

    /// The value that was built meanwhile, if nothing was wrong.
    pub(super) fn finish<T>(mut self, path: &Path, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort_by_key(|problem| problem.line);
                self.found.dedup();
                Err(ConfigError::Refused { path: path.to_owned(), problems: self.found })
            }
        }
    }
}

/// What the parser says, in our words and without the line's text, which may hold a secret.
pub(super) fn of_parser(source: &str, error: &toml::de::Error) -> Problem {
    let span = error.span();
    let table = span.as_ref().and_then(|span| table_around(source, span.start));
    let place = table.map_or(String::new(), |table| format!(" in `[{table}]`"));
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    let text = if let Some((unknown, known)) = unknown_key(&message).filter(|(_, known)| known.contains(&"host")) {
        match super::nearest(unknown, known.iter().copied()) {
            Some(near) => format!("unknown table `[{unknown}]`; did you mean `[{near}]`?"),
            None => format!("unknown table `[{unknown}]`; known are {}", quoted(&known)),
        }
    } else if let Some((unknown, known)) = unknown_key(&message) {
        match super::nearest(unknown, known.iter().copied()) {
            Some(near) => format!("unknown key `{unknown}`{place}; did you mean `{near}`?"),
            None => format!("unknown key `{unknown}`{place}; known are {}", quoted(&known)),
        }
    } else if message == "missing field `host`" {
        "the table `[host]` is missing; it needs at least `public_url`".to_owned()
    } else if let Some(word) = message.strip_prefix("unknown variant ") {
        word.replacen(", expected ", " is not known here; write ", 1)
    } else if let Some(missing) = message.strip_prefix("missing field ") {
        format!("{missing} is missing{place}")
    } else {
        let mut letters = message.chars();
        let first = letters.next().map(|c| c.to_ascii_lowercase());
        first.into_iter().chain(letters).collect()
    };
    Problem { line: span.map(|span| line_of(source, span.start)), text }
}

/// Reads serde's sentence: unknown field `x`, expected one of `a`, `b`.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    Some((unknown, rest.split('`').skip(1).step_by(2).collect()))
}

pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn line_of(source: &str, offset: usize) -> usize {
    source.as_bytes()[..offset.min(source.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The last table header at or above this place.
fn table_around(source: &str, offset: usize) -> Option<&str> {
    let end = source[offset.min(source.len())..].find('\n').map_or(source.len(), |next| offset + next);
    let header = source[..end].lines().rev().find(|line| line.trim_start().starts_with('['))?;
    let name = header.trim_start().trim_start_matches('[').split(']').next()?;
    Some(name.trim())
}
