//! Amazon resource names, by which clients of AgentCore name what this host has.

use super::OperationError;
use crate::access::Caller;
use crate::config::Settings;
use crate::ids::{AgentName, ProviderName};
use std::fmt;

/// Without a signature there is no region; an ARN has one all the same.
const NOWHERE: &str = "us-east-1";
/// Amazon's accounts have twelve digits; an account of ours that has another name has these.
const NO_ACCOUNT: &str = "000000000000";

/// Writes and reads ARNs for one caller: their region, this host's account.
pub struct Arns {
    region: String,
    account: String,
}

/// What an ARN names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arn {
    /// A workload identity.
    Workload(AgentName),
    /// A provider of OAuth 2 tokens.
    Oauth2Provider(ProviderName),
    /// A provider of an API key.
    ApiKeyProvider(ProviderName),
    /// An agent that is deployed here.
    Runtime(AgentName),
}

impl Arns {
    /// With the region of the caller's signature.
    pub fn of(settings: &Settings, caller: &Caller) -> Self {
        let account = settings.account.as_str();
        let account =
            if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) { account } else { NO_ACCOUNT };
        Self { region: caller.region().unwrap_or(NOWHERE).to_owned(), account: account.to_owned() }
    }

    /// `…:workload-identity-directory/default/workload-identity/NAME`
    pub fn workload(&self, name: &AgentName) -> String {
        self.write(format_args!("workload-identity-directory/default/workload-identity/{name}"))
    }

    /// `…:token-vault/default/oauth2credentialprovider/NAME`
    pub fn oauth2_provider(&self, name: &ProviderName) -> String {
        self.write(format_args!("token-vault/default/oauth2credentialprovider/{name}"))
    }

    /// `…:token-vault/default/apikeycredentialprovider/NAME`
    pub fn api_key_provider(&self, name: &ProviderName) -> String {
        self.write(format_args!("token-vault/default/apikeycredentialprovider/{name}"))
    }

    /// Where a secret rests. It is no secret of Amazon's, and nobody can read it there; clients want a name for it.
    pub fn secret(&self, kind: &str, name: &ProviderName) -> String {
        let Self { region, account } = self;
        format!("arn:aws:secretsmanager:{region}:{account}:secret:bedrock-agentcore-identity!default/{kind}/{name}")
    }

    /// The key of this id, in the shape that Amazon's models want.
    pub fn key(&self, id: &str) -> String {
        let Self { region, account } = self;
        format!("arn:aws:kms:{region}:{account}:key/{id}")
    }

    fn write(&self, resource: fmt::Arguments<'_>) -> String {
        let Self { region, account } = self;
        format!("arn:aws:bedrock-agentcore:{region}:{account}:{resource}")
    }
}

impl Arn {
    /// Reads one. Partition and region are not ours to judge; the account is not either, since a host has one.
    ///
    /// # Errors
    /// [`OperationError::NotFound`] for what this host has nothing of.
    pub fn parse(text: &str) -> Result<Self, OperationError> {
        let shown: String = text.chars().take(256).collect();
        let none = || OperationError::NotFound(format!("there is nothing named `{}` here", shown.escape_debug()));
        let mut parts = text.splitn(6, ':');
        let (Some("arn"), Some(_), Some("bedrock-agentcore"), Some(_), Some(_), Some(resource)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(none());
        };
        let segments: Vec<&str> = resource.split('/').collect();
        match segments.as_slice() {
            ["workload-identity-directory", "default", "workload-identity", name] => {
                AgentName::parse(name).map(Self::Workload).map_err(|_| none())
            }
            ["token-vault", "default", "oauth2credentialprovider", name] => {
                ProviderName::parse(name).map(Self::Oauth2Provider).map_err(|_| none())
            }
            ["token-vault", "default", "apikeycredentialprovider", name] => {
                ProviderName::parse(name).map(Self::ApiKeyProvider).map_err(|_| none())
            }
            ["runtime", name] => AgentName::parse(name).map(Self::Runtime).map_err(|_| none()),
            _ => Err(none()),
        }
    }

    /// The agent that a call of the runtime names, by ARN or by its bare name.
    ///
    /// # Errors
    /// [`OperationError::NotFound`].
    pub fn runtime(text: &str) -> Result<AgentName, OperationError> {
        if !text.starts_with("arn:") {
            let shown: String = text.chars().take(64).collect();
            let none = format!("there is no agent `{}` at this host", shown.escape_debug());
            return AgentName::parse(text).map_err(|_| OperationError::NotFound(none));
        }
        match Self::parse(text)? {
            Self::Runtime(name) | Self::Workload(name) => Ok(name),
            Self::Oauth2Provider(name) | Self::ApiKeyProvider(name) => {
                Err(OperationError::NotFound(format!("`{name}` is a credential provider, and no agent")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arns() -> Arns {
        Arns { region: "eu-north-1".into(), account: "123456789012".into() }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let workload = AgentName::parse("batch.eu-1").unwrap();
        let provider = ProviderName::parse("google").unwrap();
        assert_eq!(Arn::parse(&arns().workload(&workload)).unwrap(), Arn::Workload(workload));
        assert_eq!(Arn::parse(&arns().oauth2_provider(&provider)).unwrap(), Arn::Oauth2Provider(provider.clone()));
        assert_eq!(Arn::parse(&arns().api_key_provider(&provider)).unwrap(), Arn::ApiKeyProvider(provider));
    }

    #[test]
    fn what_this_host_has_nothing_of_is_not_found() {
        for arn in [
            "",
            "calendar",
            "arn:aws:bedrock-agentcore:eu-north-1:123456789012:gateway/g",
            "arn:aws:bedrock-agentcore:eu-north-1:123456789012:token-vault/other/oauth2credentialprovider/google",
            "arn:aws:s3:::bucket",
            "arn:aws:bedrock-agentcore:eu-north-1:123456789012:workload-identity-directory/default/workload-identity/-",
            "arn:aws:bedrock-agentcore:eu-north-1:123456789012:runtime/a/b",
        ] {
            assert!(matches!(Arn::parse(arn), Err(OperationError::NotFound(_))), "{arn}");
        }
    }

    #[test]
    fn an_agent_is_called_by_its_arn_or_its_name() {
        let name = AgentName::parse("calendar").unwrap();
        for text in ["calendar", "arn:aws:bedrock-agentcore:us-east-1:000000000000:runtime/calendar"] {
            assert_eq!(Arn::runtime(text).unwrap(), name);
        }
        assert!(Arn::runtime("../etc").is_err());
    }
}
