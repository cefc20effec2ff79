//! How this host proves which client it is: by a secret, by a key, or by what it says of the workload that asks.

use super::Context;
use super::file::At;
use super::problems::Problems;
use super::secrets::{SecretRef, Secrets};
use crate::jose::{SigningAlgorithm, SigningKey, TokenKey};
use crate::oauth::{ClientAuthentication, PrivateKeyJwt, WorkloadJwt};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A private key by reference: `{ file = "client.pem" }`, `{ env = "NAME" }` or
/// `{ module = "….so", token = "LABEL", key = "LABEL", pin = { file = "…" } }`, and beside it `algorithm` and `key_id`.
pub(super) struct KeyRef {
    place: Place,
    algorithm: Option<String>,
    key_id: Option<String>,
}

enum Place {
    Pem(SecretRef),
    Token { module: PathBuf, token: String, key: String, pin: SecretRef },
}

impl<'de> Deserialize<'de> for KeyRef {
    /// As with secrets, no message repeats a key that stands in the file.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let refused = || {
            D::Error::custom(
                "keys do not stand in this file; write `{ file = \"path\" }`, `{ env = \"NAME\" }` or, for a key in a \
                 PKCS #11 token, `{ module = \"path\", token = \"LABEL\", key = \"LABEL\", pin = { file = \"path\" } }`; \
                 `algorithm` and `key_id` may stand beside it",
            )
        };
        let toml::Value::Table(mut table) = toml::Value::deserialize(from)? else { return Err(refused()) };
        let mut text = |name: &str| match table.remove(name) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(refused()),
        };
        let (algorithm, key_id) = (text("algorithm")?, text("key_id")?);
        let (file, env) = (text("file")?, text("env")?);
        let (module, token, key) = (text("module")?, text("token")?, text("key")?);
        let pin = table.remove("pin").map(SecretRef::deserialize).transpose().map_err(D::Error::custom)?;
        let place = match (file, env, module, token, key, pin) {
            (Some(path), None, None, None, None, None) => Place::Pem(SecretRef::File(path.into())),
            (None, Some(name), None, None, None, None) => Place::Pem(SecretRef::Env(name)),
            (None, None, Some(module), Some(token), Some(key), Some(pin)) => {
                Place::Token { module: module.into(), token, key, pin }
            }
            _ => return Err(refused()),
        };
        if table.is_empty() { Ok(Self { place, algorithm, key_id }) } else { Err(refused()) }
    }
}

impl KeyRef {
    /// The key; none where secrets are left alone.
    fn resolve(&self, context: &Context<'_>) -> Result<Option<SigningKey>, String> {
        let algorithm = self.algorithm.as_deref().map(SigningAlgorithm::parse).transpose();
        let algorithm = algorithm.map_err(|error| error.to_string())?;
        if self.key_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 256) {
            return Err("`key_id` must have 1 to 256 bytes".into());
        }
        if context.secrets == Secrets::Left {
            return Ok(None);
        }
        let kid = self.key_id.clone();
        match &self.place {
            Place::Pem(place) => SigningKey::from_pem(&place.resolve_lines(context.base)?, algorithm, kid)
                .map_err(|error| format!("{place} cannot be used: {error}")),
            Place::Token { module, token, key, pin } => {
                let (module, pin) = (context.base.join(module), pin.resolve(context.base)?);
                let at = TokenKey { module, token: token.clone(), key: key.clone(), pin };
                SigningKey::in_token(at, algorithm, kid).map_err(|error| error.to_string())
            }
        }
        .map(Some)
    }
}

/// `client_assertion = { … }`: what a client assertion says beside who we are.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Assertion {
    audience: Option<String>,
    algorithm: Option<At<String>>,
    #[serde(default)]
    header: toml::Table,
    #[serde(default)]
    claims: toml::Table,
}

/// The keys of a table that say how its client is authenticated.
pub(super) struct Client<'a> {
    pub(super) method: Option<&'a At<String>>,
    pub(super) secret: Option<&'a At<SecretRef>>,
    pub(super) key: Option<&'a At<KeyRef>>,
    pub(super) assertion: Option<&'a At<Assertion>>,
    /// Whether it is a workload that asks, and not the host for itself.
    pub(super) for_workloads: bool,
}

/// `client_authentication`, and what belongs to it. Each method takes its own keys and refuses the others'.
pub(super) fn client_authentication(
    context: &Context<'_>,
    here: &Range<usize>,
    client: &Client<'_>,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    let implied = match client {
        Client { secret: Some(_), .. } => "basic",
        Client { key: Some(_), .. } => "private_key_jwt",
        _ => "none",
    };
    let name = client.method.map_or(implied, |method| method.get_ref().as_str());
    let place = client.method.map_or_else(|| here.clone(), At::span);
    let (secret, key, assertion) = match name {
        "basic" | "post" => (true, false, false),
        "none" => (false, false, false),
        "private_key_jwt" => (false, true, true),
        "workload_jwt" => (false, false, true),
        other => {
            let known = "use `basic`, `post`, `private_key_jwt`, `workload_jwt` or `none`";
            problems.at(&place, format!("`{}` is no client authentication; {known}", other.escape_debug()));
            return None;
        }
    };
    let mut fits = true;
    for (key, there, wanted, needed) in [
        ("client_secret", client.secret.map(At::span), secret, secret),
        ("client_key", client.key.map(At::span), key, key),
        ("client_assertion", client.assertion.map(At::span), assertion, false),
    ] {
        if needed && there.is_none() {
            problems.at(&place, format!("`client_authentication = \"{name}\"` needs a `{key}`"));
            fits = false;
        } else if !wanted && let Some(there) = there {
            let exclude = format!("`client_authentication = \"{name}\"` and a `{key}` exclude each other; remove one");
            problems.at(if client.method.is_some() { &place } else { &there }, exclude);
            fits = false;
        }
    }
    if !fits {
        return None;
    }
    match name {
        "none" => Some(ClientAuthentication::None),
        "private_key_jwt" => private_key_jwt(context, client.key?, client.assertion, problems),
        "workload_jwt" => workload_jwt(&place, client, problems),
        _ => {
            let secret = client.secret?;
            if context.secrets == Secrets::Left {
                return Some(ClientAuthentication::None);
            }
            let with = if name == "basic" { ClientAuthentication::Basic } else { ClientAuthentication::Post };
            problems.take(&secret.span(), secret.get_ref().resolve(context.base)).map(with)
        }
    }
}

fn private_key_jwt(
    context: &Context<'_>,
    key: &At<KeyRef>,
    assertion: Option<&At<Assertion>>,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    let resolved = problems.take(&key.span(), key.get_ref().resolve(context));
    let (mut header, mut claims) = (Map::new(), Map::new());
    if let Some(assertion) = assertion {
        let (here, assertion) = (assertion.span(), assertion.get_ref());
        if assertion.algorithm.is_some() {
            problems.at(&here, "an `algorithm` stands beside `client_key`, whose it is; write it there");
        }
        header = problems.take(&here, json(&assertion.header))?;
        claims = problems.take(&here, json(&assertion.claims))?;
        if let Some(audience) = &assertion.audience {
            claims.insert("aud".into(), audience.as_str().into());
        }
    }
    let here = assertion.map_or_else(|| key.span(), At::span);
    match resolved? {
        Some(key) => {
            let client = PrivateKeyJwt::new(Arc::new(key), header, claims);
            problems.take(&here, client).map(|client| ClientAuthentication::PrivateKeyJwt(Arc::new(client)))
        }
        None => problems.take(&here, PrivateKeyJwt::check(&header, &claims)).map(|()| ClientAuthentication::None),
    }
}

fn workload_jwt(
    place: &Range<usize>,
    client: &Client<'_>,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    if !client.for_workloads {
        problems.at(
            place,
            "`workload_jwt` is for what workloads ask, and a sign-in is the host's own; use a secret or a key",
        );
        return None;
    }
    let assertion = client.assertion.map(At::get_ref);
    if let Some(given) = client.assertion
        && !(given.get_ref().header.is_empty() && given.get_ref().claims.is_empty())
    {
        problems.at(&given.span(), "a workload's token has the host's claims alone; remove `header` and `claims`");
        return None;
    }
    let algorithm = match assertion.and_then(|assertion| assertion.algorithm.as_ref()) {
        None => SigningAlgorithm::Rs256,
        Some(name) => match name.get_ref().as_str() {
            "ES256" => SigningAlgorithm::Es256,
            "RS256" => SigningAlgorithm::Rs256,
            other => {
                let text = format!("the host has no key for `{}`; use `ES256` or `RS256`", other.escape_debug());
                problems.at(&name.span(), text);
                return None;
            }
        },
    };
    let audience = assertion.and_then(|assertion| assertion.audience.clone());
    Some(ClientAuthentication::WorkloadJwt(WorkloadJwt { audience, algorithm }))
}

/// As JSON, which has no dates and no endless numbers.
fn json(table: &toml::Table) -> Result<Map<String, Value>, String> {
    fn member(value: &toml::Value) -> Result<Value, String> {
        Ok(match value {
            toml::Value::String(text) => text.as_str().into(),
            toml::Value::Integer(number) => (*number).into(),
            toml::Value::Float(number) if number.is_finite() => (*number).into(),
            toml::Value::Boolean(truth) => (*truth).into(),
            toml::Value::Array(list) => list.iter().map(member).collect::<Result<_, _>>()?,
            toml::Value::Table(table) => Value::Object(json(table)?),
            toml::Value::Float(_) | toml::Value::Datetime(_) => {
                return Err(
                    "a member of a client assertion is a date or no finite number; write text or a number".into()
                );
            }
        })
    }
    table.iter().map(|(name, value)| Ok((name.clone(), member(value)?))).collect()
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
