//! How errors of the rooms above become refusals, and how refusals stand in the trail.

use super::{Acquire, Body, Flow, Kind, Refusal};
use crate::audit::{Action, Outcome, Unwritable, codes};
use crate::consent::ConsentError;
use crate::egress::CarryError;
use crate::oauth::OAuthError;
use crate::vault::VaultError;
use serde_json::json;

pub(super) fn unwritable(_: Unwritable) -> Refusal {
    Refusal::Unavailable("the audit trail cannot be written, so nothing is done; try again later".into())
}

pub(super) fn refuse_vault(error: VaultError) -> Refusal {
    match error {
        VaultError::Missing | VaultError::GrantGone => {
            Refusal::Denied("the user has not granted this, or has revoked it".into())
        }
        VaultError::Short(missing) => Refusal::InsufficientScopes(missing.to_vec()),
        VaultError::Provider(error) => match &*error {
            OAuthError::Unreachable(_) => Refusal::Unavailable(error.to_string()),
            OAuthError::Asked(_) => Refusal::InvalidRequest(error.to_string()),
            OAuthError::Configuration(_) => Refusal::NotConfigured(error.to_string()),
            _ => Refusal::ProviderRefused(error.to_string()),
        },
        VaultError::SignInAgain(_) => Refusal::SignInRequired(error.to_string()),
        VaultError::ApiKey(error) => {
            tracing::error!(%error, "an API key cannot be used");
            Refusal::Unavailable("the API key cannot be read now; its operator finds out why in the log".into())
        }
        VaultError::NoUserToken(why) => Refusal::Denied(why),
        VaultError::Malformed(error) => Refusal::InvalidRequest(error.to_string()),
        error => {
            tracing::error!(%error, "the vault could not hand out a token");
            Refusal::Unavailable("the vault cannot answer now; try again later".into())
        }
    }
}

pub(super) fn refuse_consent(error: ConsentError) -> Refusal {
    tracing::warn!(%error, "no consent session was started");
    match error {
        ConsentError::ReturnUrl(_) | ConsentError::NoUser => Refusal::Denied(error.to_string()),
        error => Refusal::Unavailable(error.to_string()),
    }
}

pub(super) fn refuse_carry(error: CarryError) -> Refusal {
    let message = error.to_string();
    match error {
        CarryError::Destination { .. } => Refusal::Denied(message),
        CarryError::InvalidRequest(_) => Refusal::InvalidRequest(message),
        _ => Refusal::Unavailable(message),
    }
}

pub(super) fn outcome_of(result: &Result<http::Response<Body>, Refusal>) -> Outcome {
    match result {
        Ok(response) => Outcome::allowed_with(format!("status {}", response.status().as_u16())),
        Err(refusal) => refusal.outcome(),
    }
}

impl Refusal {
    /// As it stands in the audit trail.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::ConsentRequired { session_uri, .. } => Outcome::refused(format!("consent required: {session_uri}")),
            Self::Unavailable(reason) | Self::ProviderRefused(reason) => Outcome::failed(reason.clone()),
            other => Outcome::refused(other.to_string()),
        }
    }
}

impl Acquire {
    /// Bounded, whatever was asked: it is written down before it is judged.
    pub(super) fn action(&self) -> Action {
        let cut = |text: &String| text.chars().filter(|c| !c.is_control()).take(256).collect::<String>();
        let few = |list: &[String]| list.iter().take(64).map(cut).collect::<Vec<_>>();
        let provider: String = cut(&self.provider).chars().take(128).collect();
        let detail = match &self.kind {
            Kind::Oauth2 { scopes, flow, wishes } => {
                let mut detail = json!({ "scopes": few(scopes), "flow": flow.as_str() });
                let names: Vec<String> = wishes.custom_parameters.iter().map(|(name, _)| name.clone()).collect();
                let lists =
                    [("resources", &wishes.resources), ("audiences", &wishes.audiences), ("parameters", &names)];
                for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
                    detail[name] = few(list).into();
                }
                if wishes.force_authentication {
                    detail["forced"] = true.into();
                }
                detail
            }
            Kind::ApiKey => json!({ "kind": "api-key" }),
        };
        Action::new(codes::ACQUIRE, provider).with(detail)
    }
}

impl Flow {
    fn as_str(self) -> &'static str {
        match self {
            Self::UserFederation => "user-federation",
            Self::MachineToMachine => "machine-to-machine",
            Self::OnBehalfOf => "on-behalf-of",
        }
    }
}

/// Method and URL without its query, which may hold what the audit trail should not: bounded, and in printable ASCII.
pub(super) fn resource_of(request: &http::Request<Body>) -> String {
    let uri = request.uri();
    let host = uri.authority().map_or("", |authority| {
        let text = authority.as_str();
        text.rsplit_once('@').map_or(text, |(_, host)| host)
    });
    let mut text = format!("{} {}://{host}{}", request.method(), uri.scheme_str().unwrap_or("?"), uri.path());
    if text.len() > 512 {
        let mut cut = 512;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        text.truncate(cut);
    }
    text
}
