//! What one request asks for beyond its scopes, and along with what it is sent.

use super::provider::{Provider, RESERVED};
use crate::identity::Workload;
use crate::ids::Malformed;
use crate::jose::DpopProver;
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
            if RIGHTS.iter().any(|right| right.eq_ignore_ascii_case(name)) {
                return Err(Malformed(format!(
                    "the parameter `{name}` asks for rights, and those are asked for by scopes, resources and audiences \
                     alone; where every request needs it, an operator adds it to the provider"
                )));
            }
            check_text("the value of a parameter", value)?;
        }
        Ok(())
    }
}

/// By which some servers are asked for rights elsewhere than in `scope`, where neither what an operator bound nor what a
/// user reads on the host's page would say so: RFC 9396, OIDC Core §5.5, Auth0's audience, what the user granted to the
/// same client for another agent (Google), a second list of scopes (Slack, HubSpot), a set of permissions by its name or
/// number (Facebook, Discord). Configuration may set them; an agent may not.
const RIGHTS: [&str; 13] = [
    "audience",
    "authorization_details",
    "bot_scope",
    "claims",
    "config_id",
    "include_granted_scopes",
    "optional_scope",
    "permission",
    "permissions",
    "scopes",
    "team_scope",
    "user_scope",
    "user_scopes",
];

/// Whether a parameter is the host's own, in any spelling. Neither configuration nor an agent sets it.
pub fn reserved(name: &str) -> bool {
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

impl More {
    /// The resources of the configuration and these, each once.
    pub(super) fn resources_of<'a>(&'a self, provider: &'a Provider) -> impl Iterator<Item = &'a str> {
        let asked = self.resources.iter().filter(|asked| !provider.resource.contains(asked));
        provider.resource.iter().chain(asked).map(String::as_str)
    }

    /// Adds all of it to a token request. What stands there already stays.
    pub(super) fn add_to<'a>(
        &'a self,
        provider: &'a Provider,
        form: &mut Vec<(&'a str, &'a str)>,
    ) -> Result<(), Malformed> {
        self.check()?;
        form.extend(self.resources_of(provider).map(|resource| ("resource", resource)));
        form.extend(self.audiences.iter().map(|audience| ("audience", audience.as_str())));
        for (name, value) in &self.parameters {
            if !form.iter().any(|(known, _)| known == name) {
                form.push((name, value));
            }
        }
        Ok(())
    }
}

/// What goes along with a request beside its form. The default is neither: a client that needs no workload, and tokens
/// that whoever holds them may use.
#[derive(Clone, Copy, Default)]
pub struct Proofs<'a> {
    /// For whom the host asks, where a client is known by that ([`super::WorkloadJwt`]).
    pub workload: Option<&'a Workload>,
    /// The key that the grant's tokens are bound to (RFC 9449).
    pub dpop: Option<&'a DpopProver>,
}

#[cfg(test)]
mod tests {
    use super::super::vendor::Vendor;
    use super::*;

    fn with(change: impl FnOnce(&mut More)) -> Result<(), Malformed> {
        let mut more = More::default();
        change(&mut more);
        more.check()
    }

    fn parameter(name: &str, value: &str) -> Result<(), Malformed> {
        with(|more| more.parameters.push((name.into(), value.into())))
    }

    #[test]
    fn what_the_host_sends_itself_cannot_be_asked_for() {
        for name in RESERVED {
            for name in [name.to_owned(), name.to_uppercase()] {
                assert!(parameter(&name, "x").unwrap_err().0.contains("set by the host"), "{name}");
            }
        }
        for name in ["access_type", "prompt", "login_hint", "x.y-z_1"] {
            parameter(name, "x").unwrap();
        }
    }

    #[test]
    fn no_parameter_asks_for_rights_beside_the_scopes() {
        let by_vendors = Vendor::all().filter_map(|vendor| vendor.quirks().scope_parameter.as_deref());
        for name in RIGHTS.into_iter().chain(by_vendors).chain(["AUTHORIZATION_DETAILS"]) {
            assert!(parameter(name, "x").unwrap_err().0.contains("asks for rights"), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (name, value) in [("", "x"), ("a b", "x"), ("a&b", "x"), ("a", ""), ("a", "x\ny")] {
            assert!(parameter(name, value).is_err(), "{name}={value}");
        }
        assert!(parameter("a", &"x".repeat(2049)).is_err());
        assert!(parameter(&"a".repeat(257), "x").is_err());
        for resource in ["", "relative", "https://a.example/#f", "https://a.example/\n"] {
            assert!(with(|more| more.resources.push(resource.into())).is_err(), "{resource}");
        }
        with(|more| more.resources.push("urn:api:1".into())).unwrap();
        with(|more| more.audiences.push("any words".into())).unwrap();
        assert!(with(|more| more.audiences = vec!["a".into(); 21]).is_err());
    }
}
