//! Credentials for workloads that run elsewhere, as bytes; and the end of a consent that an app asked for.

use super::{OperationError, Operations};
use crate::access::{Caller, Operation};
use crate::audit::{Action, codes};
use crate::broker::{Acquire, Flow, Kind, Refusal, Released, TokenType, Wishes};
use crate::clock::Timestamp;
use crate::consent::{SessionStatus, View};
use crate::identity::{AssertedUser, User};
use crate::ids::ConsentId;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a workload asks for.
pub struct AskOauth2<'a> {
    /// Its workload access token.
    pub workload_access_token: &'a str,
    /// At which provider, as it wrote it.
    pub provider: String,
    /// For what.
    pub scopes: Vec<String>,
    /// How.
    pub flow: Flow,
    /// What it asks besides.
    pub wishes: Wishes,
    /// The session that it waits for, once it has been told of one.
    pub session_uri: Option<&'a str>,
}

/// What it gets.
pub enum Oauth2Answer {
    /// The token.
    Token(ReleasedToken),
    /// The user has to agree first, at this address.
    Consent {
        /// Where the browser goes.
        authorization_url: String,
        /// To ask again with.
        session_uri: String,
    },
    /// The session that it waits for goes on.
    InProgress {
        /// Which.
        session_uri: String,
    },
    /// It came to nothing.
    Failed {
        /// Which.
        session_uri: String,
    },
}

/// A credential as it leaves the host.
pub struct ReleasedToken {
    /// The token or key.
    pub text: Zeroizing<String>,
    /// `Bearer`, or none for an API key.
    pub token_type: &'static str,
    /// When it expires; none where that is not known.
    pub expires_at: Option<Timestamp>,
    /// What was granted.
    pub scopes: Vec<String>,
}

/// By what an app says who was in front of the browser.
pub enum Identifier<'a> {
    /// A token of theirs: any that proves the same issuer and subject.
    Token(&'a str),
    /// The id that was asserted at the mint.
    UserId(&'a str),
}

/// A consent that was completed.
pub type Completed = View;

impl Operations {
    /// An access token of a third party, or how the user agrees first. What the workload may have is decided by the broker,
    /// and nothing leaves before its record is on disk.
    ///
    /// # Errors
    /// [`OperationError`].
    pub async fn resource_oauth2_token(
        &self,
        caller: &Arc<Caller>,
        ask: AskOauth2<'_>,
    ) -> Result<Oauth2Answer, OperationError> {
        let binding = self.presented(ask.workload_access_token)?;
        let _permitted = self.permit(caller, Operation::GetResourceOauth2Token, Some(binding.agent().name()))?;
        if let Some(uri) = ask.session_uri {
            match self.host.desk.session_status(&binding, uri).await? {
                SessionStatus::InProgress => return Ok(Oauth2Answer::InProgress { session_uri: uri.to_owned() }),
                SessionStatus::Failed => return Ok(Oauth2Answer::Failed { session_uri: uri.to_owned() }),
                SessionStatus::Done => {}
            }
        }
        let mut wishes = ask.wishes;
        // Whoever comes back for what the user just agreed to does not want them asked once more.
        wishes.force_authentication &= ask.session_uri.is_none();
        let kind = Kind::Oauth2 { scopes: ask.scopes, flow: ask.flow, wishes };
        let acquire = Acquire { provider: ask.provider, kind };
        match self.host.desk.release(&binding, Some(&caller.to_string()), acquire).await {
            Ok(released) => Ok(Oauth2Answer::Token(released_text(&released)?)),
            Err(Refusal::ConsentRequired { authorization_url, session_uri, .. }) => {
                Ok(Oauth2Answer::Consent { authorization_url, session_uri })
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// An API key.
    ///
    /// # Errors
    /// [`OperationError`].
    pub async fn resource_api_key(
        &self,
        caller: &Arc<Caller>,
        workload_access_token: &str,
        provider: String,
    ) -> Result<ReleasedToken, OperationError> {
        let binding = self.presented(workload_access_token)?;
        let _permitted = self.permit(caller, Operation::GetResourceApiKey, Some(binding.agent().name()))?;
        let acquire = Acquire { provider, kind: Kind::ApiKey };
        released_text(&self.host.desk.release(&binding, Some(&caller.to_string()), acquire).await?)
    }

    /// An app says who was in front of the browser that came back. The user is known by issuer and subject, so any token of
    /// theirs will do, not only the one that the workload access token was minted with.
    ///
    /// # Errors
    /// [`OperationError`]: for anybody but the user whom the session belongs to, the code is burnt.
    pub async fn complete_consent(
        &self,
        caller: &Arc<Caller>,
        session_uri: &str,
        who: Identifier<'_>,
    ) -> Result<Completed, OperationError> {
        let operation = Operation::CompleteResourceTokenAuth;
        caller.might(operation)?;
        let id = ConsentId::from_session_uri(session_uri)
            .map_err(|malformed| OperationError::malformed("sessionUri", malformed))?;
        let name = self.host.consents.agent_of(id).await?;
        let _permitted = self.permit(caller, operation, Some(&name))?;
        let user: Result<User, OperationError> = match who {
            Identifier::Token(token) => self.user_of(&name, token).await,
            Identifier::UserId(user_id) => {
                let workload = self.host.directory.resolve_elsewhere(&name)?;
                AssertedUser::on_the_word_of(&workload, user_id).map(User::from).map_err(OperationError::from)
            }
        };
        let user = user.inspect_err(|error| {
            let actor = self.about(caller.actor(), &name);
            let reason = crate::audit::with_cause(error);
            self.note_refused(actor, Action::new(codes::CONSENT_COMPLETE, name.as_str()), &reason);
        })?;
        Ok(self.host.consents.complete(id, &user).await?)
    }
}

fn released_text(released: &Released) -> Result<ReleasedToken, OperationError> {
    let text = released.secret.expose_text().ok_or_else(|| {
        OperationError::Unavailable("the credential is no text, so it cannot be given as such".to_owned())
    })?;
    Ok(ReleasedToken {
        text: Zeroizing::new(text.to_owned()),
        token_type: match released.token_type {
            TokenType::Bearer => "Bearer",
            TokenType::ApiKey => "ApiKey",
        },
        expires_at: released.expires_at.map(Timestamp::from_secs),
        scopes: released.scopes.clone(),
    })
}
