//! Who may call an agent: a pure decision over claims that are already known to be true.

use super::precheck::{Claims, Header};
use super::rejected::{Rejected, shown};
use super::{Algorithm, TokenType};
use crate::ids::{Issuer, Malformed};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use url::Url;

/// Whose tokens an agent accepts, and which of them. Fixed once made.
#[derive(Debug)]
pub struct Authorizer {
    id: String,
    rules: Vec<IssuerRule>,
    /// Unlike the id, this is never used twice in a process: what was verified for one authorizer is not taken as
    /// verified for the one that replaced it under the same name.
    serial: u64,
}

/// What is accepted from one issuer. Every part that is not empty must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuerRule {
    /// `iss`, byte for byte.
    pub issuer: Issuer,
    /// Where its metadata is, if not at `{issuer}/.well-known/openid-configuration`.
    pub discovery_url: Option<Url>,
    /// Signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// `typ` headers.
    pub token_types: Vec<TokenType>,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// One of these must be the client. A token for several audiences is only accepted where its client is named here
    /// (OIDC Core §3.1.3.7).
    pub clients: Vec<String>,
    /// The token must have at least one of these.
    pub scopes: Vec<String>,
    /// All of these must hold.
    pub claims: Vec<ClaimRule>,
}

impl IssuerRule {
    /// Accepts every algorithm and type that we know, and nothing else yet: at least one rule must be added.
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            discovery_url: None,
            algorithms: Algorithm::ALL.to_vec(),
            token_types: TokenType::ALL.to_vec(),
            audiences: Vec::new(),
            clients: Vec::new(),
            scopes: Vec::new(),
            claims: Vec::new(),
        }
    }

    fn check(&self, claims: &Claims) -> Result<(), Rejected> {
        if !self.audiences.is_empty() && !claims.audiences.iter().any(|aud| self.audiences.contains(aud)) {
            return Err(Rejected::Audience);
        }
        if !self.clients.is_empty() || claims.audiences.len() > 1 {
            let client = claims.client.as_deref().unwrap_or_default();
            if !self.clients.iter().any(|known| known == client) {
                return Err(Rejected::Client(shown(client)));
            }
        }
        if !self.scopes.is_empty() && !claims.scopes.iter().any(|scope| self.scopes.contains(scope)) {
            return Err(Rejected::Scope);
        }
        match self.claims.iter().find(|rule| !rule.holds(&claims.all)) {
            Some(broken) => Err(Rejected::Claim(shown(&broken.path.join(".")))),
            None => Ok(()),
        }
    }
}

/// A rule over one claim.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimRule {
    /// Member names from the outside in: `["realm_access", "roles"]`.
    pub path: Vec<String>,
    /// What its value must be.
    pub condition: Condition,
}

impl ClaimRule {
    /// Where the claim is absent, no condition holds, a negated one neither: what a token does not say cannot admit it.
    fn holds(&self, claims: &serde_json::Map<String, Value>) -> bool {
        let Some((first, rest)) = self.path.split_first() else { return false };
        let found = rest.iter().try_fold(claims.get(first), |value, name| Some(value?.as_object()?.get(name)));
        found.flatten().is_some_and(|value| self.condition.holds(value))
    }
}

/// A condition over a claim's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It is this value.
    Equals(Value),
    /// It is a list with this value in it.
    Contains(Value),
    /// It is a list with one of these values in it.
    ContainsAny(Vec<Value>),
    /// The claim is there, and this does not hold.
    Not(Box<Condition>),
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        let among = |wanted: &Value| value.as_array().is_some_and(|items| items.contains(wanted));
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::Contains(wanted) => among(wanted),
            Self::ContainsAny(wanted) => wanted.iter().any(among),
            Self::Not(inner) => !inner.holds(value),
        }
    }
}

impl Authorizer {
    /// With these rules. Several for one issuer are alternatives: a token needs to satisfy one of them.
    ///
    /// # Errors
    /// [`Malformed`] when there is no issuer, or one with no rule, no algorithm or no token type; when a claim rule has no
    /// path; when an issuer's metadata is not at an `https` address (`http` only where issuer and address are loopback);
    /// or when two rules look for one issuer's metadata in different places.
    pub fn new(id: impl Into<String>, rules: Vec<IssuerRule>) -> Result<Self, Malformed> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let id = id.into();
        if rules.is_empty() {
            return Err(Malformed(format!("authorizer `{id}` names no issuer; add one, with at least one rule")));
        }
        for rule in &rules {
            let bad = |what: &str| Err(Malformed(format!("authorizer `{id}`, issuer `{}`: {what}", rule.issuer)));
            if rule.audiences.is_empty() && rule.clients.is_empty() && rule.scopes.is_empty() && rule.claims.is_empty()
            {
                return bad(
                    "there is no rule, so everybody's token would pass; name audiences, clients, scopes or claims",
                );
            }
            if rule.algorithms.is_empty() {
                return bad("no algorithm is accepted, so no token would pass; name one");
            }
            if rule.token_types.is_empty() {
                return bad("no token type is accepted, so no token would pass; name one");
            }
            if rule.claims.iter().any(|claim| claim.path.is_empty()) {
                return bad("a claim rule has no path; name the claim");
            }
            if let Err(why) = super::jwks::metadata_url(&rule.issuer, rule.discovery_url.as_ref()) {
                return bad(&why);
            }
            if rules.iter().any(|other| other.issuer == rule.issuer && other.discovery_url != rule.discovery_url) {
                return bad("its rules name different discovery URLs; name one");
            }
        }
        Ok(Self { id, rules, serial: SERIAL.fetch_add(1, Ordering::Relaxed) })
    }

    /// The operator's name for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its rules.
    pub fn rules(&self) -> &[IssuerRule] {
        &self.rules
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// The rules that a token with this issuer and header could satisfy; at least one.
    pub(super) fn candidates(&self, issuer: &Issuer, header: &Header) -> Result<Vec<&IssuerRule>, Rejected> {
        let mut rules: Vec<_> = self.rules.iter().filter(|rule| &rule.issuer == issuer).collect();
        if rules.is_empty() {
            return Err(Rejected::Issuer(shown(issuer.as_str())));
        }
        rules.retain(|rule| rule.algorithms.contains(&header.algorithm));
        if rules.is_empty() {
            return Err(Rejected::Algorithm(format!("`{}`", header.algorithm)));
        }
        rules.retain(|rule| rule.token_types.contains(&header.typ));
        if rules.is_empty() {
            return Err(Rejected::Type(format!("`{:?}`", header.typ)));
        }
        Ok(rules)
    }
}

/// Whether one of these rules admits claims that are known to be true. The reason is the first rule's.
pub(super) fn admit(rules: &[&IssuerRule], claims: &Claims) -> Result<(), Rejected> {
    let mut reason = None;
    for rule in rules {
        match rule.check(claims) {
            Ok(()) => return Ok(()),
            Err(why) => reason = reason.or(Some(why)),
        }
    }
    Err(reason.unwrap_or(Rejected::Audience))
}
