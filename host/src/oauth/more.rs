//! What one request asks for beyond its scopes, and along with what it is sent.

use super::provider::RESERVED;
use crate::ids::Malformed;
use std::marker::PhantomData;
use url::Url;

/// What an agent asks for beyond its scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// Resource indicators (RFC 8707 §2), beside those of the configuration.
    pub resources: Vec<String>,
    /// `audience` (RFC 8693 §2.1; many providers take it elsewhere, too).
    pub audiences: Vec<String>,
    /// Anything else. They add: what the host sends itself is refused here, and what the configuration sets stays as it
    /// is.
    pub parameters: Vec<(String, String)>,
}

/// More is more than anybody needs.
const MOST: usize = 20;
const LONGEST: usize = 2048;

impl More {
    /// Whether all of it may be sent. Every flow checks it again.
    ///
    /// # Errors
    /// [`Malformed`] says what to change.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.resources.len().max(self.audiences.len()).max(self.parameters.len()) > MOST {
            return Err(Malformed(format!("at most {MOST} resources, audiences and parameters each can be asked for")));
        }
        for resource in &self.resources {
            check_resource(resource)?;
        }
        for audience in &self.audiences {
            check_text("an audience", audience)?;
        }
        for (name, value) in &self.parameters {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if !(1..=256).contains(&name.len()) || !name.bytes().all(plain) {
                return Err(Malformed(format!(
                    "`{}` is no parameter name; use 1 to 256 of `A-Z a-z 0-9 - _ .`",
                    super::discovery::shown(name)
                )));
            }
            if reserved(name) {
                return Err(Malformed(format!("the parameter `{name}` is set by the host; leave it out")));
            }
            check_text("the value of a parameter", value)?;
        }
        Ok(())
    }
}

/// Whether a parameter is the host's own, in any spelling.
pub(super) fn reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// An absolute URI without fragment (RFC 8707 §2).
pub(super) fn check_resource(text: &str) -> Result<(), Malformed> {
    check_text("a resource", text)?;
    if Url::parse(text).is_ok_and(|url| url.fragment().is_none()) {
        return Ok(());
    }
    Err(Malformed(format!(
        "`{}` is no resource; it must be an absolute URI without a fragment (RFC 8707 §2)",
        super::discovery::shown(text)
    )))
}

fn check_text(what: &str, text: &str) -> Result<(), Malformed> {
    if text.is_empty() || text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(Malformed(format!("{what} must be 1 to {LONGEST} bytes without control characters")));
    }
    Ok(())
}

/// What goes along with a request beside its form. The default is neither: a client that needs no workload, and tokens
/// that whoever holds them may use.
#[derive(Clone, Copy, Default)]
pub struct Proofs<'a> {
    pub(super) _later: PhantomData<&'a ()>,
}
