//! How this host proves to an authorization server which client it is.

use super::client::OAuthError;
use crate::clock::Timestamp;
use crate::identity::{Workload, WorkloadIssuer};
use crate::ids::InvocationId;
use crate::jose::{SigningAlgorithm, SigningKey};
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// `client_assertion_type` (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A client assertion is used at once.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);
/// So many header members, and so many claims, may be added to a client assertion, as in AgentCore's API.
const MOST_ADDED: usize = 10;

/// How we prove to a provider which client we are (RFC 6749 §2.3, RFC 7523 §3).
#[derive(Clone)]
pub enum ClientAuthentication {
    /// `client_secret_basic`.
    Basic(Arc<Secret>),
    /// `client_secret_post`.
    Post(Arc<Secret>),
    /// A public client: its id, and PKCE.
    None,
    /// Not even an id. Some servers take a token exchange on the strength of its assertion alone (AgentCore's
    /// `NO_CLIENT`).
    Anonymous,
    /// `private_key_jwt` (OIDC Core §9).
    PrivateKeyJwt(Arc<PrivateKeyJwt>),
    /// A client assertion that the host signs as issuer, about the workload for which it asks: the provider trusts this
    /// host by federation, and no secret is shared.
    WorkloadJwt(WorkloadJwt),
}

/// A client whose key the provider knows.
pub struct PrivateKeyJwt {
    key: Arc<SigningKey>,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

/// What a workload's client assertion says beside the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadJwt {
    /// Its `aud`, where the provider wants another than itself, as Entra does with `api://AzureADTokenExchange`.
    pub audience: Option<String>,
    /// ES256 or RS256.
    pub algorithm: SigningAlgorithm,
}

/// Why a client assertion cannot be configured so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// A member that decides who we are, or how the assertion is read.
    #[error("the {part} `{name}` is set by the host; remove it")]
    Reserved {
        /// Header or claim.
        part: &'static str,
        /// Which.
        name: String,
    },
    /// A name with other characters.
    #[error("the {part} `{}` must be named with letters, digits and `_.:#-`", .name.escape_debug())]
    Name {
        /// Header or claim.
        part: &'static str,
        /// As configured.
        name: String,
    },
    /// Too many.
    #[error(
        "a client assertion may be given {MOST_ADDED} more header members and {MOST_ADDED} more claims; remove some"
    )]
    TooMany,
}

impl PrivateKeyJwt {
    /// Signs with this key, and adds these header members and claims to each assertion (ten of each at most). An added
    /// `kid` names the key otherwise, an added `aud` replaces ours.
    ///
    /// # Errors
    /// [`AssertionError`]: `alg` and `typ`, `iss`, `sub`, `jti`, `iat` and `exp` stay ours.
    pub fn new(
        key: Arc<SigningKey>,
        header: Map<String, Value>,
        claims: Map<String, Value>,
    ) -> Result<Self, AssertionError> {
        Self::check(&header, &claims)?;
        Ok(Self { key, header, claims })
    }

    /// Whether these may be added, for whoever only looks and has no key.
    ///
    /// # Errors
    /// As [`PrivateKeyJwt::new`].
    pub fn check(header: &Map<String, Value>, claims: &Map<String, Value>) -> Result<(), AssertionError> {
        check("header member", header, &["alg", "typ", "jwk", "crit", "b64", "zip", "enc"])?;
        check("claim", claims, &["iss", "sub", "jti", "iat", "exp"])
    }

    /// Its key, for whoever registers the public half.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    fn assertion(&self, asking: &Asking<'_>) -> Result<Secret, OAuthError> {
        let mut claims = self.claims.clone();
        // One audience, and as text: FAPI 2.0 and the successor of RFC 7523 forbid lists, which let one server use an
        // assertion at another.
        claims.entry("aud").or_insert_with(|| asking.audience.into());
        for (name, value) in [
            ("iss", Value::from(asking.client_id)),
            ("sub", asking.client_id.into()),
            ("jti", InvocationId::random().to_string().into()),
            ("iat", asking.now.secs().into()),
            ("exp", asking.now.plus(ASSERTION_LIFE).secs().into()),
        ] {
            claims.insert(name.into(), value);
        }
        self.key
            .sign_jws("JWT", &self.header, &claims)
            .map_err(|error| OAuthError::Configuration(format!("no client assertion can be made: {error}")))
    }
}

fn check(part: &'static str, added: &Map<String, Value>, ours: &[&str]) -> Result<(), AssertionError> {
    if added.len() > MOST_ADDED {
        return Err(AssertionError::TooMany);
    }
    for name in added.keys() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:#-".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(AssertionError::Name { part, name: name.chars().take(64).collect() });
        }
        if ours.contains(&name.as_str()) {
            return Err(AssertionError::Reserved { part, name: name.clone() });
        }
    }
    Ok(())
}

/// One request, as far as it matters to who we are.
pub struct Asking<'a> {
    /// Our id at this provider.
    pub client_id: &'a str,
    /// The provider's issuer where it is known, or else the URL of its token endpoint: what a client assertion is for.
    pub audience: &'a str,
    /// For which workload the host asks; none when it asks for itself, as a sign-in does.
    pub workload: Option<&'a Workload>,
    /// Signs what the host says of its workloads.
    pub issuer: &'a WorkloadIssuer,
    /// Now.
    pub now: Timestamp,
}

/// A form on its way to an authorization server. Its values are wiped when it is dropped.
#[derive(Default)]
pub struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. Names may repeat (RFC 8707 §2 does that with `resource`).
    pub fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), Zeroizing::new(value.to_owned())));
    }

    /// Whether there is such a field.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// All of it, in order.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

impl ClientAuthentication {
    /// Adds to one request what proves who we are: fields of its form, or a header. Once per request sent: an assertion
    /// works a single time (RFC 7523 §3, `jti`).
    ///
    /// # Errors
    /// [`OAuthError::Configuration`] when the operator has to change something.
    pub fn apply(&self, asking: &Asking<'_>, form: &mut Form, headers: &mut HeaderMap) -> Result<(), OAuthError> {
        let id = asking.client_id;
        match self {
            Self::Basic(secret) => {
                headers.insert(AUTHORIZATION, basic(id, text(secret)?)?);
            }
            Self::Post(secret) => {
                form.add("client_id", id);
                form.add("client_secret", text(secret)?);
            }
            Self::None => form.add("client_id", id),
            Self::Anonymous => {}
            Self::PrivateKeyJwt(client) => {
                form.add("client_id", id);
                form.add("client_assertion_type", JWT_BEARER);
                form.add("client_assertion", text(&client.assertion(asking)?)?);
            }
            Self::WorkloadJwt(client) => {
                let workload = asking.workload.ok_or_else(|| {
                    OAuthError::Configuration(
                        "the client is authenticated by a workload's token, and no workload is asking; use a secret or a \
                         key for what the host asks for itself"
                            .into(),
                    )
                })?;
                let audience = client.audience.as_deref().unwrap_or(asking.audience);
                let assertion = asking
                    .issuer
                    .assert(workload, audience, client.algorithm, ASSERTION_LIFE, &Map::new(), asking.now)
                    .map_err(|error| OAuthError::Configuration(format!("no client assertion can be made: {error}")))?;
                form.add("client_id", id);
                form.add("client_assertion_type", JWT_BEARER);
                form.add("client_assertion", text(&assertion)?);
            }
        }
        Ok(())
    }

    /// The shared secret, where there is one.
    pub(super) fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Basic(secret) | Self::Post(secret) => Some(secret),
            Self::None | Self::Anonymous | Self::PrivateKeyJwt(_) | Self::WorkloadJwt(_) => None,
        }
    }
}

/// Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, OAuthError> {
    let mut pair = Zeroizing::new(String::with_capacity(3 * (id.len() + secret.len()) + 1));
    pair.extend(url::form_urlencoded::byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(url::form_urlencoded::byte_serialize(secret.as_bytes()));
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let text = Zeroizing::new([b"Basic ", encoded.as_bytes()].concat());
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .map_err(|_| OAuthError::Configuration("the client secret cannot be sent".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn text(secret: &Secret) -> Result<&str, OAuthError> {
    secret.expose_text().ok_or_else(|| OAuthError::Configuration("a secret to send is not text".into()))
}

#[cfg(test)]
#[path = "authentication_tests.rs"]
pub(super) mod tests;
