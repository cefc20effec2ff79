//! From a request to a caller: by a signature, or by a token of the operators' issuer.

use super::caller::Caller;
use super::key::KeyId;
use super::keys::Keys;
use super::replay::Replays;
use super::rights::{Operations, Workloads};
use super::sigv4::{self, Signed};
use crate::clock::{Clock, Timestamp};
use crate::identity::{Authorizer, Bearer, Rejected, Verifier};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::sync::Arc;
use std::time::Duration;

/// How far a client's clock may be from ours, either way.
const SKEW: Duration = Duration::from_secs(300);

/// Where callers of the API are let in. One per host. Keeps no state of requests but the signatures of lately.
pub struct Door {
    keys: Arc<Keys>,
    people: Option<People>,
    verifier: Arc<Verifier>,
    replays: Replays,
    clock: Clock,
}

/// Which people may call the API, and what they may do.
#[derive(Clone, Debug)]
pub struct People {
    /// Whose tokens are accepted.
    pub authorizer: Arc<Authorizer>,
    /// What whoever has such a token may do.
    pub operations: Operations,
    /// For which workloads.
    pub workloads: Workloads,
}

/// What a request came with. Not checked yet: that takes its body.
pub struct Presented(Credential);

enum Credential {
    Signature(Box<Signed>),
    Token(Bearer),
}

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Neither a signature nor a token.
    #[error("the request is not signed; sign it with an access key (`attache keys create`), or send a token")]
    Missing,
    /// A signature in the query.
    #[error("presigned URLs are not accepted; sign the request in its `Authorization` header")]
    Presigned,
    /// The signature's form is wrong.
    #[error("the signature cannot be read: {0}")]
    Malformed(String),
    /// A temporary credential of AWS.
    #[error("session tokens are not issued here; unset `AWS_SESSION_TOKEN` and use an access key of this host")]
    SessionToken,
    /// There is no such key.
    #[error("there is no access key `{0}`; list them with `attache keys list`, or make one with `attache keys create`")]
    UnknownKey(KeyId),
    /// An operator disabled it.
    #[error("access key `{0}` is disabled; make another with `attache keys create`")]
    Disabled(KeyId),
    /// The client's clock is not ours.
    #[error("the signature is of {signed}, and here it is {now}; set the client's clock, which may be 5 minutes off")]
    Skew {
        /// When the client says it signed.
        signed: Timestamp,
        /// When it came.
        now: Timestamp,
    },
    /// Another secret, or a request that was changed on its way.
    #[error(
        "the signature does not match the request; check the secret access key, and that nothing on the way changes \
         method, path, query, `Host`, signed headers or body"
    )]
    Signature,
    /// The same signature came before.
    #[error("this very request came before; sign each request anew")]
    Replayed,
    /// People are not let in here.
    #[error("tokens are not accepted here; an operator can let people in with `[operators]`")]
    NoPeople,
    /// The token is not accepted.
    #[error("the token is not accepted")]
    Token(#[source] Rejected),
    /// The host cannot check it now.
    #[error("the caller cannot be checked now: {0}")]
    Unavailable(String),
}

impl Refused {
    /// The error type that clients of AWS know for it.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Presigned | Self::Malformed(_) => "IncompleteSignatureException",
            Self::SessionToken | Self::UnknownKey(_) | Self::Disabled(_) => "UnrecognizedClientException",
            Self::Skew { .. } | Self::Signature | Self::Replayed => "InvalidSignatureException",
            Self::NoPeople => "AccessDeniedException",
            Self::Token(rejected) if rejected.is_unavailable() => "InternalServerException",
            Self::Token(_) => "UnauthorizedException",
            Self::Unavailable(_) => "InternalServerException",
        }
    }
}

impl Door {
    /// With these keys; `people` is none where tokens are not accepted.
    pub fn new(keys: Arc<Keys>, people: Option<People>, verifier: Arc<Verifier>, clock: Clock) -> Arc<Self> {
        // From five minutes ahead of us to five minutes behind.
        let replays = Replays::new(SKEW * 2, clock.now());
        Arc::new(Self { keys, people, verifier, replays, clock })
    }

    /// The access keys.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Reads what the head of a request came with, and refuses what no body could mend: no credential, an unknown key, a
    /// wrong time. So a stranger's body is not read.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn present(&self, head: &Parts) -> Result<Presented, Refused> {
        if sigv4::in_query(&head.uri) {
            return Err(Refused::Presigned);
        }
        if has_scheme(&head.headers, sigv4::SCHEME) {
            let signed = Signed::read(head)?;
            let now = self.clock.now();
            if signed.time().since(now) > SKEW || now.since(signed.time()) > SKEW {
                return Err(Refused::Skew { signed: signed.time(), now });
            }
            if !self.keys.knows(signed.key()) {
                return Err(Refused::UnknownKey(signed.key().clone()));
            }
            return Ok(Presented(Credential::Signature(Box::new(signed))));
        }
        match Bearer::from_header(&head.headers) {
            Ok(_) if self.people.is_none() => Err(Refused::NoPeople),
            Ok(bearer) => Ok(Presented(Credential::Token(bearer))),
            Err(Rejected::Missing) => Err(Refused::Missing),
            Err(rejected) => Err(Refused::Token(rejected)),
        }
    }

    /// Checks it, with the request's whole body. Waits for the network where the keys of the operators' issuer are missing.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn admit(&self, presented: Presented, body: &[u8]) -> Result<Arc<Caller>, Refused> {
        match presented.0 {
            Credential::Signature(signed) => self.signed(&signed, body),
            Credential::Token(bearer) => self.person(&bearer).await,
        }
    }

    fn signed(&self, signed: &Signed, body: &[u8]) -> Result<Arc<Caller>, Refused> {
        let key = self.keys.verify(signed, body)?;
        // Whoever does not hold the secret learns nothing of the key.
        if key.disabled {
            return Err(Refused::Disabled(key.id.clone()));
        }
        let now = self.clock.now();
        if signed.is_unique() && !self.replays.first(signed.signature(), now) {
            return Err(Refused::Replayed);
        }
        self.keys.note_use(&key.id, now);
        Ok(Caller::with_key(key, signed.region()))
    }

    async fn person(&self, bearer: &Bearer) -> Result<Arc<Caller>, Refused> {
        let people = self.people.as_ref().ok_or(Refused::NoPeople)?;
        let user = self.verifier.verify(bearer, &people.authorizer).await.map_err(Refused::Token)?;
        Ok(Caller::with_token(user, people.operations.clone(), people.workloads.clone()))
    }
}

fn has_scheme(headers: &HeaderMap, scheme: &str) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|value| {
        let value = value.as_bytes();
        value.len() >= scheme.len() && value[..scheme.len()].eq_ignore_ascii_case(scheme.as_bytes())
    })
}
