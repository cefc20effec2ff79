//! From bytes to a verified user.

use super::Algorithm;
use super::authorizer::{self, Authorizer};
use super::cache::{Cache, Name};
use super::jwks::{Documents, KeySource};
use super::kept::Keeper;
use super::precheck::{Claims, Compact, LEEWAY, MAX_TOKEN_BYTES, TokenType};
use super::rejected::{Rejected, shown};
use crate::clock::{Clock, Timestamp};
use crate::ids::{Issuer, UserId};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq as _;
use url::Url;

/// A token as it was sent (RFC 6750 §2.1). Nothing is known about it.
pub struct Bearer(Secret);

impl Bearer {
    /// From a request's headers. Tokens in URLs are not looked for.
    ///
    /// # Errors
    /// [`Rejected::Missing`] where there is no authorization header or one of another scheme; [`Rejected::Header`] where
    /// there are several, or it holds no single token of at most 16 KiB.
    pub fn from_header(headers: &http::HeaderMap) -> Result<Self, Rejected> {
        let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
        let value = values.next().ok_or(Rejected::Missing)?.as_bytes();
        if values.next().is_some() {
            return Err(Rejected::Header("there are several"));
        }
        let (scheme, token) = match value.iter().position(|byte| *byte == b' ') {
            Some(space) => (&value[..space], value[space..].trim_ascii()),
            None => (value, &[][..]),
        };
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(Rejected::Missing);
        }
        Self::of(token)
    }

    /// From a call that brings somebody's token as a member of its body.
    ///
    /// # Errors
    /// [`Rejected::Header`] where it is no single token of at most 16 KiB.
    pub fn from_text(token: &str) -> Result<Self, Rejected> {
        Self::of(token.as_bytes())
    }

    fn of(token: &[u8]) -> Result<Self, Rejected> {
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::Header("the token has not 1 to 16,384 bytes"));
        }
        if !token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)) {
            return Err(Rejected::Header("the token has characters that no token has"));
        }
        Ok(Self(Secret::new(token.to_vec())))
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A human whose token was signed by an issuer that is trusted here, and is admitted.
///
/// Made only by [`Verifier`]. Who it is, is `iss` and `sub` ([`VerifiedUser::id`]); the same human comes with another
/// token after every refresh. Share it with [`Arc`]; it cannot be cloned, changed or read from bytes.
pub struct VerifiedUser {
    id: UserId,
    claims: Map<String, Value>,
    client: Option<String>,
    scopes: Vec<String>,
    expires_at: Timestamp,
    token: Secret,
}

impl VerifiedUser {
    /// The one place where the proof is made. Private to this file: the caller has checked signature, times and rules.
    fn prove(claims: Claims, token: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            id: UserId { issuer: claims.issuer, subject: claims.subject },
            claims: claims.all,
            client: claims.client,
            scopes: claims.scopes,
            expires_at: claims.expires_at,
            token: Secret::new(token.to_vec()),
        })
    }

    /// Who: issuer and subject.
    pub fn id(&self) -> &UserId {
        &self.id
    }

    /// All claims, as signed.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// One claim, by its top-level name.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name)
    }

    /// The client that the token was made for.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The token's scopes.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// `exp`.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// What to call the user on a page: `name`, `preferred_username`, `email` or the subject, without control characters
    /// and at most 64 characters long. Says nothing about who it is.
    pub fn display_name(&self) -> String {
        let named = ["name", "preferred_username", "email"].into_iter().filter_map(|claim| self.claim(claim)?.as_str());
        named.map(plain).find(|name| !name.is_empty()).unwrap_or_else(|| plain(self.id.subject.as_str()))
    }

    /// The token itself.
    pub fn token(&self) -> &Secret {
        &self.token
    }
}

/// Only who it is: neither claims nor token.
impl fmt::Debug for VerifiedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedUser({})", self.id)
    }
}

/// Without controls and without the marks that reverse or hide text, which could make one name look like another.
fn plain(name: &str) -> String {
    let hidden =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    name.chars().filter(|c| !c.is_control() && !hidden(*c)).take(64).collect::<String>().trim().to_owned()
}

/// The host as a client of its users' identity provider: whose ID tokens answer its own sign-ins, and how they are signed.
#[derive(Clone, Debug, PartialEq)]
pub struct RelyingParty {
    /// `iss`, byte for byte.
    pub issuer: Issuer,
    /// Where its metadata is, if not at the usual place.
    pub discovery_url: Option<Url>,
    /// Signature algorithms. What the metadata offers makes no difference.
    pub algorithms: Vec<Algorithm>,
    /// Ours, there.
    pub client_id: String,
}

/// Verifies tokens. One for the host: it holds every issuer's keys and the tokens that were verified lately.
pub struct Verifier {
    documents: Arc<dyn Documents>,
    keeper: Option<Keeper>,
    clock: Clock,
    sources: RwLock<HashMap<Place, Arc<KeySource>>>,
    verified: Cache<Remembered>,
}

/// A user, and the keys that must still be the issuer's for it to count.
#[derive(Clone)]
struct Remembered {
    user: Arc<VerifiedUser>,
    source: Arc<KeySource>,
    generation: u64,
    /// How often the wall clock had jumped: `exp`, `nbf` and `iat` are judged anew when it has again.
    jumps: u64,
}

/// An issuer, and where its metadata is if not at the usual place.
type Place = (Issuer, Option<Url>);

impl Verifier {
    /// Reads keys through these documents. Nothing is fetched before the first token comes.
    pub fn new(documents: Arc<dyn Documents>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { documents, keeper: None, clock, sources: RwLock::default(), verified: Cache::new() })
    }

    /// As [`Verifier::new`], with the key sets of the last run, and keeping those of this one for the next.
    pub fn with_kept(documents: Arc<dyn Documents>, keeper: Keeper, clock: Clock) -> Arc<Self> {
        let (keeper, sources, verified) = (Some(keeper), RwLock::default(), Cache::new());
        Arc::new(Self { documents, keeper, clock, sources, verified })
    }

    /// Verifies a user's token for an agent with this authorizer.
    ///
    /// A token that was verified before takes a hash and a look-up, until it expires or its issuer's keys change. Waits
    /// for the network where keys are missing, never longer than one renewal.
    ///
    /// # Errors
    /// [`Rejected`], with the reason for the log.
    pub async fn verify(&self, bearer: &Bearer, authorizer: &Authorizer) -> Result<Arc<VerifiedUser>, Rejected> {
        let name = Name::of(bearer, authorizer);
        if let Some(user) = self.known(&name).await {
            return Ok(user);
        }
        let token = Compact::split(bearer.expose())?;
        let header = token.header()?;
        // Read before the signature is checked, since they say whose it should be; used for that alone until it is.
        let claims = Claims::parse(&token.payload)?;
        let rules = authorizer.candidates(&claims.issuer, &header)?;
        let source = self.source(&claims.issuer, rules.first().and_then(|rule| rule.discovery_url.as_ref()))?;
        let generation = source.check(&token, &header).await?;
        // Counted first: a jump after that is one that was not looked at yet.
        let (jumps, steady, now) = (self.clock.jumps(), self.clock.steady(), self.clock.now());
        claims.check_times(now)?;
        authorizer::admit(&rules, &claims)?;
        let user = VerifiedUser::prove(claims, bearer.expose());
        let over_at = steady.plus(user.expires_at.plus(LEEWAY).since(now));
        self.verified.keep(name, over_at, Remembered { user: user.clone(), source, generation, jumps }, steady);
        Ok(user)
    }

    /// Verifies the ID token that answers a sign-in of our own (OIDC Core §3.1.3.7): signature by the issuer's keys, with an
    /// algorithm that the operator accepts of it, `iss` byte for byte, `aud` with our client id and nobody else's, `azp`
    /// where there is one, times, and the nonce.
    ///
    /// # Errors
    /// [`Rejected`], with the reason for the log.
    pub async fn verify_sign_in(
        &self,
        id_token: &Secret,
        party: &RelyingParty,
        nonce: &str,
    ) -> Result<Arc<VerifiedUser>, Rejected> {
        let token = Compact::split(id_token.expose())?;
        let header = token.header()?;
        if header.typ == TokenType::AccessToken {
            return Err(Rejected::Type("`at+jwt`".into()));
        }
        let claims = Claims::parse(&token.payload)?;
        if claims.issuer != party.issuer {
            return Err(Rejected::Issuer(shown(claims.issuer.as_str())));
        }
        if !party.algorithms.contains(&header.algorithm) {
            return Err(Rejected::Algorithm(format!("`{}`", header.algorithm)));
        }
        self.source(&party.issuer, party.discovery_url.as_ref())?.check(&token, &header).await?;
        claims.check_times(self.clock.now())?;
        if claims.issued_at.is_none() {
            return Err(Rejected::SignIn("it has no `iat`"));
        }
        let ours = |audience: &String| *audience == party.client_id;
        if !claims.audiences.iter().any(ours) {
            return Err(Rejected::Audience);
        }
        // Rule 3: whoever else it is for could present it here, and no operator has said that they are to be trusted.
        if !claims.audiences.iter().all(ours) {
            return Err(Rejected::SignIn("it is for others besides"));
        }
        if claims.all.get("azp").is_some_and(|party_of| party_of.as_str() != Some(&party.client_id)) {
            return Err(Rejected::SignIn("its `azp` is another client"));
        }
        let answered = claims.all.get("nonce").and_then(Value::as_str).unwrap_or_default();
        if nonce.is_empty() || !bool::from(answered.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(Rejected::SignIn("its `nonce` is another"));
        }
        Ok(VerifiedUser::prove(claims, id_token.expose()))
    }

    /// Who was verified by this token before, if it and its issuer's keys still count.
    async fn known(&self, name: &Name) -> Option<Arc<VerifiedUser>> {
        let now = self.clock.steady();
        let known = self.verified.find(name, now).filter(|known| known.jumps == self.clock.jumps())?;
        if known.source.still_vouches(known.generation, now) {
            return Some(known.user);
        }
        let (_, generation) = known.source.current().await.ok()?;
        (generation == known.generation).then_some(known.user)
    }

    /// An issuer's keys. Only issuers of the configuration get here, so the table does not grow with requests.
    fn source(&self, issuer: &Issuer, discovery_url: Option<&Url>) -> Result<Arc<KeySource>, Rejected> {
        let place = (issuer.clone(), discovery_url.cloned());
        if let Some(source) = self.sources.read().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(source.clone());
        }
        let made = KeySource::new(
            issuer.clone(),
            discovery_url,
            self.documents.clone(),
            self.keeper.clone(),
            self.clock.clone(),
        )?;
        Ok(self.sources.write().unwrap_or_else(PoisonError::into_inner).entry(place).or_insert(made).clone())
    }
}
