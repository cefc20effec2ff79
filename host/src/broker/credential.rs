//! From a permit to a credential: the one way, for guests and for workloads that run elsewhere alike.

use super::desk::Parts;
use super::policy::{Permit, Way};
use super::refuse::{refuse_consent, refuse_vault, unwritable};
use super::{Acquire, Kind, Refusal, Released, TokenType};
use crate::audit::{Action, Actor, Attempt, Outcome, Written, codes};
use crate::clock::Timestamp;
use crate::consent::Question;
use crate::identity::Binding;
use crate::ids::Scopes;
use crate::oauth::Provider;
use crate::providers::CredentialProvider;
use crate::vault::{GrantStatus, Token, VaultError, Wanted};
use std::sync::Arc;

impl Parts {
    /// What the user granted, or the refusal that asks them.
    pub(super) async fn granted(
        &self,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        wanted: &Wanted,
        asked: &Asked,
    ) -> Result<(Scopes, Option<Timestamp>), Refusal> {
        if asked.force {
            // Asked first: where nobody can be asked, nothing is given up.
            let asking = self.ask_consent(who, provider, wanted, asked).await;
            if matches!(asking, Refusal::ConsentRequired { .. }) {
                self.vault.forget(who, provider, wanted).await.map_err(refuse_vault)?;
            }
            return Err(asking);
        }
        match self.vault.status(who, provider, &self.bounded(who, provider, wanted)?) {
            GrantStatus::Granted { scopes, expires_at } => Ok((scopes, expires_at)),
            GrantStatus::Short { missing } => Err(Refusal::InsufficientScopes(missing.to_vec())),
            GrantStatus::Missing => Err(self.ask_consent(who, provider, wanted, asked).await),
        }
    }

    /// Starts a consent session; the refusal carries its link, or says why there is none.
    pub(super) async fn ask_consent(
        &self,
        who: &Arc<Binding>,
        provider: &Arc<Provider>,
        wanted: &Wanted,
        asked: &Asked,
    ) -> Refusal {
        let question = Question {
            wanted,
            return_url: asked.return_url.as_deref(),
            custom_state: asked.custom_state.as_deref(),
            force: asked.force,
        };
        match self.consents.start(who, provider, &question).await {
            Ok(started) => Refusal::ConsentRequired {
                authorization_url: started.authorization_url,
                session_uri: started.session_uri,
                expires_at: started.expires_at.secs(),
            },
            Err(error) => refuse_consent(error),
        }
    }

    /// The one way from a permit to a credential, for guests and for workloads elsewhere alike. Policy is asked once more
    /// afterwards, since obtaining a token may take seconds. The provider that comes with it is the one that it is of: one
    /// that was changed meanwhile may name other hosts, and they are not for this credential.
    pub(super) async fn credential(
        &self,
        written: &Written<'_>,
        permit: &Permit,
    ) -> Result<(CredentialProvider, Token), VaultOr> {
        let who = written.binding();
        let provider = self.still_permitted(who, permit)?;
        let token = match (&permit.way, &provider) {
            (Way::Grant(wanted), CredentialProvider::Oauth2(provider)) => {
                self.vault.token(written, provider, &self.bounded(who, provider, wanted)?).await?
            }
            (Way::Mint(mint), CredentialProvider::Oauth2(provider)) => {
                self.vault.minted(written, provider, mint).await?
            }
            (_, CredentialProvider::ApiKey(provider)) => self.vault.api_key(written, provider)?,
            (Way::ApiKey, CredentialProvider::Oauth2(_)) => return Err(VaultError::Missing.into()),
        };
        if !self.still_permitted(who, permit)?.is(&provider) {
            return Err(VaultOr::Refused(Refusal::Unavailable(format!(
                "provider `{}` was changed while its credential was on the way; try again",
                permit.provider
            ))));
        }
        Ok((provider, token))
    }

    pub(super) async fn release(
        &self,
        who: &Arc<Binding>,
        caller: Option<&str>,
        ask: Acquire,
    ) -> Result<Released, Refusal> {
        let action = Action { action: codes::REVEAL.to_owned(), ..ask.action() };
        let caller = Actor { caller: caller.map(str::to_owned), ..Actor::default() };
        let attempt = self.trail.open_called(&caller, who, action).map_err(unwritable)?;
        let result = match self.released_to(who, &ask) {
            Ok(permit) => self.release_attempted(&attempt, &permit, &ask).await,
            Err(refusal) => Err(refusal),
        };
        attempt.close(result.as_ref().map_or_else(Refusal::outcome, |_| Outcome::allowed_with("bytes released")));
        result
    }

    fn released_to(&self, who: &Binding, ask: &Acquire) -> Result<Permit, Refusal> {
        if who.agent().digest().is_some() {
            return Err(Refusal::Denied(format!(
                "agent `{}` runs here and gets handles, not bytes; only a workload that runs elsewhere gets those",
                who.agent().name()
            )));
        }
        self.active(who)?;
        self.permitted(who, ask)
    }

    async fn release_attempted(&self, attempt: &Attempt, permit: &Permit, ask: &Acquire) -> Result<Released, Refusal> {
        let written = attempt.written().await.map_err(unwritable)?;
        let who = written.binding();
        if let (Way::Grant(wanted), Some(provider)) = (&permit.way, self.providers.oauth2(&permit.provider)) {
            self.granted(who, &provider, wanted, &Asked::of(ask, ask.return_url())).await?;
        }
        let token = match self.credential(&written, permit).await {
            Ok((_, Token { prover: Some(_), .. })) => return Err(bound_to_a_key(permit)),
            Ok((_, token)) => token,
            Err(error) => {
                return Err(self.refuse_credential(who, permit, error, &Asked::of(ask, ask.return_url())).await);
            }
        };
        let token_type = match permit.way {
            Way::ApiKey => TokenType::ApiKey,
            Way::Grant(_) | Way::Mint(_) => TokenType::Bearer,
        };
        Ok(Released {
            secret: token.secret,
            token_type,
            expires_at: token.expires_at.map(|at| at.secs()),
            scopes: token.scopes.to_vec(),
        })
    }

    /// Revoked since it was acquired: says what to do about it, as acquiring would have.
    pub(super) async fn refuse_credential(
        &self,
        who: &Arc<Binding>,
        permit: &Permit,
        error: VaultOr,
        asked: &Asked,
    ) -> Refusal {
        match (error, &permit.way, self.providers.oauth2(&permit.provider)) {
            (VaultOr::Refused(refusal), ..) => refusal,
            (VaultOr::Vault(VaultError::Missing | VaultError::GrantGone), Way::Grant(wanted), Some(provider)) => {
                self.ask_consent(who, &provider, wanted, asked).await
            }
            (VaultOr::Vault(error), ..) => refuse_vault(error),
        }
    }
}

/// What is asked of the user, where one is asked.
#[derive(Default)]
pub(super) struct Asked {
    return_url: Option<String>,
    custom_state: Option<String>,
    force: bool,
}

impl Asked {
    /// Nothing but where the browser goes afterwards.
    pub(super) fn returning_to(return_url: Option<String>) -> Self {
        Self { return_url, ..Self::default() }
    }

    pub(super) fn of(ask: &Acquire, return_url: Option<String>) -> Self {
        match &ask.kind {
            Kind::Oauth2 { wishes, .. } => {
                Self { return_url, custom_state: wishes.custom_state.clone(), force: wishes.force_authentication }
            }
            Kind::ApiKey => Self::default(),
        }
    }
}

/// Why there is no credential: the vault has none, or policy has changed.
pub(super) enum VaultOr {
    Vault(VaultError),
    Refused(Refusal),
}

impl From<VaultError> for VaultOr {
    fn from(error: VaultError) -> Self {
        Self::Vault(error)
    }
}

impl From<Refusal> for VaultOr {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The key stays with the host, and the bytes of the token are worth nothing without it.
pub(super) fn bound_to_a_key(permit: &Permit) -> Refusal {
    Refusal::NotConfigured(format!(
        "tokens of provider `{}` are bound to a key of this host, so their bytes are of no use elsewhere; an operator sets \
         `dpop = \"never\"` for it",
        permit.provider
    ))
}

impl Acquire {
    fn return_url(&self) -> Option<String> {
        match &self.kind {
            Kind::Oauth2 { wishes, .. } => wishes.return_url.clone(),
            Kind::ApiKey => None,
        }
    }
}
