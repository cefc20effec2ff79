//! The chain of those who act (RFC 8693 §4.1), read from a token before it is sent on.

use crate::ids::Malformed;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Those who act for a token's subject, the current one first. Read without verifying anything: it is for bounds and
/// for records, never for a decision in somebody's favour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActChain(Vec<ActorClaim>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorClaim {
    /// `iss`, if it is there.
    pub issuer: Option<String>,
    /// `sub`, if it is there.
    pub subject: Option<String>,
}

impl ActChain {
    /// As many hands a token may have passed through.
    pub const DEEPEST: usize = 10;

    /// Reads the nested `act` of a JWT. An opaque token has no chain that we could read.
    ///
    /// # Errors
    /// [`Malformed`] for a chain that is longer than [`ActChain::DEEPEST`] or is none, and for a JWT that cannot be read.
    pub fn of(token: &Secret) -> Result<Self, Malformed> {
        let Some(payload) = payload(token) else { return Ok(Self::default()) };
        // The parser has a bound of its own for how deep it goes.
        let claims: Map<String, Value> = serde_json::from_slice(&payload)
            .map_err(|_| Malformed("the token of the user looks like a JWT, and its claims cannot be read".into()))?;
        let mut chain = Vec::new();
        let mut next = claims.get("act");
        while let Some(act) = next {
            if chain.len() == Self::DEEPEST {
                let deepest = Self::DEEPEST;
                return Err(Malformed(format!(
                    "the token of the user names more than {deepest} actors (`act`); let the user sign in anew"
                )));
            }
            let Some(act) = act.as_object() else {
                return Err(Malformed("an actor (`act`) in the token of the user is no object".into()));
            };
            let text = |name: &str| act.get(name).and_then(Value::as_str).map(str::to_owned);
            chain.push(ActorClaim { issuer: text("iss"), subject: text("sub") });
            next = act.get("act");
        }
        Ok(Self(chain))
    }

    /// The current actor first.
    pub fn actors(&self) -> &[ActorClaim] {
        &self.0
    }
}

/// The middle of three parts whose first is a JOSE header (RFC 7515 §3.1). Anything else is opaque.
fn payload(token: &Secret) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = token.expose_text()?.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    serde_json::from_slice::<Map<String, Value>>(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    // Whatever it is, it is no JSON, and is refused as that.
    Some(Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn jwt(claims: &str) -> Secret {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        Secret::from_text(format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    fn nested(depth: usize) -> Secret {
        let act = (0..depth).fold(Value::Null, |inner, level| {
            let mut act = json!({ "sub": format!("agent-{level}"), "iss": "https://idp.example" });
            if !inner.is_null() {
                act["act"] = inner;
            }
            act
        });
        let mut claims = json!({ "sub": "alice" });
        if depth > 0 {
            claims["act"] = act;
        }
        jwt(&claims.to_string())
    }

    #[test]
    fn the_outermost_is_the_current_actor() {
        let chain = ActChain::of(&nested(3)).unwrap();
        let names: Vec<_> = chain.actors().iter().map(|actor| actor.subject.as_deref().unwrap()).collect();
        assert_eq!(names, ["agent-2", "agent-1", "agent-0"]);
        assert_eq!(chain.actors()[0].issuer.as_deref(), Some("https://idp.example"));
    }

    #[test]
    fn the_chain_ends_at_ten() {
        for depth in 0..=10 {
            assert_eq!(ActChain::of(&nested(depth)).unwrap().actors().len(), depth);
        }
        for depth in [11, 12, 60, 125, 10_000] {
            assert!(ActChain::of(&nested_text(depth)).is_err(), "{depth}");
        }
    }

    /// Deeper than a tree of values could be built.
    fn nested_text(depth: usize) -> Secret {
        jwt(&format!("{{{}\"sub\":\"x\"{}}}", r#""act":{"#.repeat(depth), "}".repeat(depth)))
    }

    #[test]
    fn an_opaque_token_has_no_chain_and_a_broken_one_is_refused() {
        for opaque in ["", "opaque", "a.b", "a.b.c", "a.b.c.d.e"] {
            assert_eq!(ActChain::of(&Secret::from_text(opaque.into())).unwrap(), ActChain::default(), "{opaque}");
        }
        for claims in ["", "[]", "{", r#"{"act":1}"#, r#"{"act":"x"}"#, r#"{"act":{"act":[]}}"#] {
            assert!(ActChain::of(&jwt(claims)).is_err(), "{claims}");
        }
        assert_eq!(ActChain::of(&jwt(r#"{"act":{}}"#)).unwrap().actors().len(), 1);
    }
}
