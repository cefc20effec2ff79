//! What a workload may have: asked when it asks for a credential, and again whenever one is used.

use super::desk::Parts;
use super::{Acquire, Flow, Kind, Refusal, Wishes};
use crate::directory::Terms;
use crate::identity::{Binding, User};
use crate::ids::{ProviderName, Scopes};
use crate::oauth::{More, Provider};
use crate::providers::{CredentialProvider, Unusable};
use crate::vault::{Mint, Wanted};
use std::sync::Arc;

/// A credential that may be had: at which provider, and in which way. The credential itself stays where it is.
#[derive(Clone)]
pub(super) struct Permit {
    pub(super) provider: ProviderName,
    pub(super) way: Way,
}

/// In which way.
#[derive(Clone)]
pub(super) enum Way {
    /// The user agreed, or is to be asked.
    Grant(Wanted),
    /// Nobody is asked.
    Mint(Mint),
    /// There is one key for all.
    ApiKey,
}

impl Permit {
    pub(super) fn scopes(&self) -> Scopes {
        match &self.way {
            Way::Grant(wanted) => wanted.scopes.clone(),
            Way::Mint(mint) => mint.wanted().scopes.clone(),
            Way::ApiKey => Scopes::default(),
        }
    }

    /// As it stands in the trail.
    pub(super) fn detail(&self) -> serde_json::Value {
        let mut detail = serde_json::json!({ "provider": self.provider.as_str() });
        let wanted = match &self.way {
            Way::Grant(wanted) => wanted,
            Way::Mint(mint) => {
                detail["flow"] = mint.flow().into();
                mint.wanted()
            }
            Way::ApiKey => {
                detail["kind"] = "api-key".into();
                return detail;
            }
        };
        detail["scopes"] = wanted.scopes.to_vec().into();
        if !wanted.resources().is_empty() {
            detail["resources"] = wanted.resources().into();
        }
        detail
    }
}

impl Parts {
    /// What the bound workload may do now. A binding is a snapshot; an operator who suspends a workload, or unbinds a
    /// provider from it, means what runs as well.
    pub(super) fn active(&self, who: &Binding) -> Result<Arc<Terms>, Refusal> {
        self.directory
            .current_terms(who.agent())
            .map_err(|_| Refusal::Denied(format!("agent `{}` may not run any more", who.agent().name())))
    }

    /// Policy: is this provider bound to this workload, with these scopes, and can it be had in this way? An unbound provider
    /// and one that does not exist get the same answer.
    pub(super) fn permitted(&self, who: &Binding, ask: &Acquire) -> Result<Permit, Refusal> {
        let name = ProviderName::parse(&ask.provider).map_err(|_| unbound(who, &ask.provider))?;
        let terms = self.active(who)?;
        let provider = self.bound_provider(who, &terms, &name)?;
        let (scopes, flow, wishes) = match (&ask.kind, &provider) {
            (Kind::ApiKey, CredentialProvider::ApiKey(_)) => return Ok(Permit { provider: name, way: Way::ApiKey }),
            (Kind::ApiKey, CredentialProvider::Oauth2(_)) => {
                let why = format!("provider `{name}` has no API key; ask for an OAuth 2 credential");
                return Err(Refusal::NotConfigured(why));
            }
            (Kind::Oauth2 { .. }, CredentialProvider::ApiKey(_)) => {
                let why = format!("provider `{name}` gives an API key and no OAuth 2 tokens; ask for its API key");
                return Err(Refusal::NotConfigured(why));
            }
            (Kind::Oauth2 { scopes, flow, wishes }, CredentialProvider::Oauth2(_)) => (scopes, *flow, wishes),
        };
        let scopes =
            Scopes::parse(scopes.iter().map(String::as_str)).map_err(|e| Refusal::InvalidRequest(e.to_string()))?;
        let scopes = match (terms.most(&name), &provider) {
            (Some(most), CredentialProvider::Oauth2(one)) if scopes.is_empty() => most.all(&one.scopes).clone(),
            _ => scopes,
        };
        within(who, &terms, &provider, &scopes)?;
        let way = self.way(who, &name, &provider, flow, wanted(scopes, flow, wishes)?)?;
        Ok(Permit { provider: name, way })
    }

    /// The same question about what was permitted before: the provider as it is now, if it is still bound as it was.
    pub(super) fn still_permitted(&self, who: &Binding, permit: &Permit) -> Result<CredentialProvider, Refusal> {
        let terms = self.active(who)?;
        let provider = self.bound_provider(who, &terms, &permit.provider)?;
        within(who, &terms, &provider, &permit.scopes())?;
        let same = matches!(
            (&permit.way, &provider),
            (Way::ApiKey, CredentialProvider::ApiKey(_))
                | (Way::Grant(_) | Way::Mint(_), CredentialProvider::Oauth2(_))
        );
        if same { Ok(provider) } else { Err(unbound(who, permit.provider.as_str())) }
    }

    /// What is wanted of a grant, within what is bound now: a user may have agreed to more while more was bound.
    pub(super) fn bounded(&self, who: &Binding, provider: &Provider, wanted: &Wanted) -> Result<Wanted, Refusal> {
        let terms = self.active(who)?;
        let most = terms.most(&provider.name).ok_or_else(|| unbound(who, provider.name.as_str()))?;
        Ok(wanted.within(most.limit(&provider.scopes)))
    }

    fn bound_provider(&self, who: &Binding, terms: &Terms, name: &ProviderName) -> Result<CredentialProvider, Refusal> {
        terms.most(name).ok_or_else(|| unbound(who, name.as_str()))?;
        self.providers.usable(name).map_err(|error| match error {
            // It may have this one: that it is not there is nothing to hide.
            Unusable::Unknown(name) => Refusal::NotConfigured(format!(
                "there is no credential provider `{name}`; an operator makes it, or tells which there are (`attache providers`)"
            )),
            // Why it is broken is for the operator, whom the log tells; a path may stand there.
            Unusable::Broken(name, why) => {
                tracing::error!(provider = %name, why, "a credential provider cannot be used");
                Refusal::Unavailable(format!(
                    "provider `{name}` cannot be used now; its operator finds out why in the log"
                ))
            }
        })
    }

    fn way(
        &self,
        who: &Binding,
        name: &ProviderName,
        provider: &CredentialProvider,
        flow: Flow,
        wanted: Wanted,
    ) -> Result<Way, Refusal> {
        match flow {
            Flow::UserFederation if who.user().is_none() => {
                Err(Refusal::Denied("this invocation serves no user, so there is nobody to grant access".into()))
            }
            Flow::UserFederation => Ok(Way::Grant(wanted)),
            Flow::MachineToMachine => Ok(Way::Mint(Mint::Machine(wanted))),
            Flow::OnBehalfOf => {
                let exchanges = matches!(provider, CredentialProvider::Oauth2(one) if one.on_behalf_of.is_some());
                if !exchanges {
                    return Err(Refusal::NotConfigured(format!(
                        "provider `{name}` exchanges no tokens of users; an operator adds `on_behalf_of` to it"
                    )));
                }
                match who.user() {
                    Some(User::Verified(_)) => Ok(Way::Mint(Mint::OnBehalfOf(wanted))),
                    Some(User::Asserted(_)) => Err(Refusal::Denied(
                        "the user of this call was named by an unverified id and has no token to exchange; send the user's \
                         own token"
                            .into(),
                    )),
                    None => Err(Refusal::Denied(
                        "this invocation serves no user, so there is nobody on whose behalf to act".into(),
                    )),
                }
            }
        }
    }
}

fn unbound(who: &Binding, provider: &str) -> Refusal {
    let shown: String = provider.chars().take(64).collect();
    let agent = who.agent().name();
    Refusal::Denied(format!(
        "provider `{}` is not bound to agent `{agent}`; an operator adds it under `[[agents.{agent}.providers]]`",
        shown.escape_debug(),
    ))
}

fn within(who: &Binding, terms: &Terms, provider: &CredentialProvider, scopes: &Scopes) -> Result<(), Refusal> {
    let CredentialProvider::Oauth2(one) = provider else { return Ok(()) };
    let most = terms.most(&one.name).ok_or_else(|| unbound(who, one.name.as_str()))?;
    let beyond = most.beyond(scopes, &one.scopes);
    if beyond.is_empty() {
        return Ok(());
    }
    Err(Refusal::Denied(format!(
        "scopes `{}` of provider `{}` are not bound to agent `{}`",
        beyond.joined(),
        one.name,
        who.agent().name()
    )))
}

/// What is asked for beside the scopes, where it means something.
fn wanted(scopes: Scopes, flow: Flow, wishes: &Wishes) -> Result<Wanted, Refusal> {
    let federated = flow == Flow::UserFederation;
    if federated && !wishes.audiences.is_empty() {
        return Err(Refusal::InvalidRequest(
            "an audience cannot be asked of a user; name a resource, or ask by another flow".into(),
        ));
    }
    if !federated && (wishes.force_authentication || wishes.custom_state.is_some()) {
        return Err(Refusal::InvalidRequest(
            "nobody is asked in this flow; leave forced authentication and the custom state out".into(),
        ));
    }
    if wishes.custom_state.as_ref().is_some_and(|state| !(1..=4096).contains(&state.len())) {
        return Err(Refusal::InvalidRequest("a custom state must be 1 to 4096 bytes".into()));
    }
    if let Some((name, _)) = wishes.custom_parameters.iter().find(|(name, _)| !federated && names_somebody(name)) {
        return Err(Refusal::Denied(format!(
            "the parameter `{}` could name another principal, and only the host says who that is; leave it out",
            name.escape_debug()
        )));
    }
    let more = More {
        resources: wishes.resources.clone(),
        audiences: wishes.audiences.clone(),
        parameters: wishes.custom_parameters.clone(),
    };
    Wanted::new(scopes, more).map_err(|error| Refusal::InvalidRequest(error.to_string()))
}

/// Words by which a token request could be made for somebody else, such as Keycloak's `requested_subject`: a user, another
/// client, a tenant. Where a user is asked, at the provider's own page, a parameter cannot do that.
const PRINCIPALS: [&str; 24] = [
    "account",
    "act",
    "actor",
    "assertion",
    "client",
    "customer",
    "delegate",
    "domain",
    "email",
    "hint",
    "impersonate",
    "iss",
    "issuer",
    "login",
    "org",
    "organization",
    "principal",
    "sub",
    "subject",
    "tenant",
    "upn",
    "user",
    "username",
    "workspace",
];

/// `requestedSubject`, `requested_subject` and `REQUESTED-SUBJECTS` have the same words.
fn names_somebody(name: &str) -> bool {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_ascii_alphabetic() || (c.is_ascii_uppercase() && before.is_ascii_lowercase()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphabetic(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words.iter().any(|word| {
        let one = word.strip_suffix('s').unwrap_or(word);
        PRINCIPALS.contains(&word.as_str()) || PRINCIPALS.contains(&one)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_could_name_somebody_is_noticed_in_every_spelling() {
        for name in [
            "requested_subject",
            "requestedSubject",
            "REQUESTED-SUBJECT",
            "SUBJECT",
            "user",
            "userId",
            "user.id",
            "tenant-id",
            "organization",
            "login_hint",
            "client_assertion",
            "act",
            "sub",
            "emails",
        ] {
            assert!(names_somebody(name), "{name}");
        }
        for name in ["access_type", "action", "prompt", "audience", "subscription", "claims", "acr_values", ""] {
            assert!(!names_somebody(name), "{name}");
        }
    }
}
