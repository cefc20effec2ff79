//! Every operation of the API, by the name that callers and permissions use.

use crate::ids::Malformed;
use std::fmt;
use std::str::FromStr;

/// What an operation is about, and so what a permission for it must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// One workload, always: a permission that names none is refused.
    Workload,
    /// The account: no workload has to be named. What it lists is narrowed to the caller's workloads
    /// ([`super::Permitted::reaches`]).
    Account,
    /// What every workload shares, changed: no workload is named, and whoever changes it acts on all of them. So the
    /// caller must reach all of them.
    Everybody,
    /// A resource that may be a workload or something of the account, such as what is tagged.
    Either,
}

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $concerns:ident,)+) => {
        /// One operation of the API. AgentCore's have AgentCore's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)+
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// What it is about.
            pub fn concerns(self) -> Concerns {
                match self {
                    $(Self::$name => Concerns::$concerns,)+
                }
            }
        }
    };
}

operations! {
    /// A workload access token without a user.
    GetWorkloadAccessToken: Workload,
    /// A workload access token for the user of a token.
    GetWorkloadAccessTokenForJWT: Workload,
    /// A workload access token for a user whom nobody proved.
    GetWorkloadAccessTokenForUserId: Workload,
    /// An OAuth 2 token of a credential provider.
    GetResourceOauth2Token: Workload,
    /// Says who sat at the browser when a consent ended.
    CompleteResourceTokenAuth: Workload,
    /// An API key of a credential provider.
    GetResourceApiKey: Workload,

    /// Calls a deployed agent.
    InvokeAgentRuntime: Workload,
    /// Calls a deployed agent for a user whom nobody proved.
    InvokeAgentRuntimeForUser: Workload,
    /// Ends what runs in a session.
    StopRuntimeSession: Workload,

    /// Makes a workload identity.
    CreateWorkloadIdentity: Workload,
    /// Shows one.
    GetWorkloadIdentity: Workload,
    /// Changes one.
    UpdateWorkloadIdentity: Workload,
    /// Removes one, and what was granted to it.
    DeleteWorkloadIdentity: Workload,
    /// Lists them.
    ListWorkloadIdentities: Account,

    /// Makes an OAuth 2 credential provider.
    CreateOauth2CredentialProvider: Everybody,
    /// Shows one, without its secret.
    GetOauth2CredentialProvider: Account,
    /// Changes one.
    UpdateOauth2CredentialProvider: Everybody,
    /// Removes one.
    DeleteOauth2CredentialProvider: Everybody,
    /// Lists them.
    ListOauth2CredentialProviders: Account,

    /// Makes an API-key credential provider.
    CreateApiKeyCredentialProvider: Everybody,
    /// Shows one, without its key.
    GetApiKeyCredentialProvider: Account,
    /// Changes one.
    UpdateApiKeyCredentialProvider: Everybody,
    /// Removes one.
    DeleteApiKeyCredentialProvider: Everybody,
    /// Lists them.
    ListApiKeyCredentialProviders: Account,

    /// Shows the token vault.
    GetTokenVault: Account,
    /// Chooses the key that the vault is sealed under.
    SetTokenVaultCMK: Everybody,
    /// Gives up a lost key, and every token that was sealed under it.
    ResetTokenVaultKeyMaterial: Everybody,

    /// Adds tags.
    TagResource: Either,
    /// Removes tags.
    UntagResource: Either,
    /// Lists tags.
    ListTagsForResource: Either,

    /// Says what a workload access token stands for. Ours.
    IntrospectWorkloadAccessToken: Workload,
    /// Ends a workload access token. Ours.
    RevokeWorkloadAccessToken: Workload,
    /// Lists what users granted. Ours.
    ListGrants: Account,
    /// Undoes a grant. Ours.
    RevokeGrant: Workload,

    /// Lists the agents and what each can do. Ours.
    ListAgents: Account,
    /// Gives a name a component to run. Ours.
    DeployAgent: Workload,
    /// Lets an agent not be called. Ours.
    SuspendAgent: Workload,
    /// Lets it be called again. Ours.
    ResumeAgent: Workload,
    /// Lists the versions that ran under a name. Ours.
    ListAgentVersions: Workload,
    /// Gives a name back a version that ran under it before. Ours.
    RollBackAgent: Workload,
    /// Holds an agent to the version that it runs, or lets it go. Ours.
    PinAgent: Workload,
    /// Lists the bytes that may run nowhere. Ours.
    ListKilled: Account,
    /// Lets bytes run nowhere, under whatever name, or takes that back. Ours.
    KillComponent: Everybody,
    /// Lets a workload use a credential provider. Ours.
    BindCredentialProvider: Workload,
    /// Takes that back. Ours.
    UnbindCredentialProvider: Workload,

    /// Reads the audit trail. Ours.
    ListAuditRecords: Account,
    /// Shows how the host is set up. Ours.
    GetHostStatus: Account,
    /// Makes an access key, with no more rights than the caller has. Ours.
    CreateAccessKey: Account,
    /// Lists the access keys, without their secrets. Ours.
    ListAccessKeys: Account,
    /// Lets a key not be used any more. Ours.
    DisableAccessKey: Everybody,
    /// Removes a key. Ours.
    DeleteAccessKey: Everybody,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = Malformed;

    /// By its exact name; upper and lower case differ.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let named = Self::ALL.iter().copied().find(|operation| operation.name() == text);
        named.ok_or_else(|| Malformed(format!("`{}` is no operation of this API", text.escape_debug())))
    }
}
