//! What leaves this host. One client for everything: providers, identity providers, and the requests of guests.
//!
//! Addresses are vetted where they are connected to, redirects are never followed, sizes and times are capped. A
//! guest's request passes [`carry()`]: check, attach, send, scrub, in that order and in no other.

mod carry;
mod client;
mod destination;
mod escapes;
mod fetch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod headers;
mod placement;
mod reply;
mod scrub;
#[cfg(test)]
pub(crate) mod testing;
mod vetting;

pub use carry::{Attach, CarryError, Passage, carry};
pub use client::{Client, ClientConfig, ClientError};
pub use destination::{Destination, Destinations, check_url};
pub use fetch::{Fetch, FetchError, Fetched};
pub use headers::forbidden_header;
pub use placement::Placement;
pub use reply::ScrubHits;
pub use scrub::Scrubber;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;

/// A body on its way in or out, in chunks.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body broke off. The message names no address and no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(pub String);
