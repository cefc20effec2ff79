//! From what was asked to the operation, and from what it gives to JSON: one line per member, in Amazon's names.

use super::input::Values;
use crate::access::{Caller, Operation};
use crate::broker::{Flow, Wishes};
use crate::clock::Timestamp;
use crate::directory::{Tags, WorkloadIdentity};
use crate::ids::AgentName;
use crate::operations::{
    Arns, AskOauth2, CreateWorkload, Identifier, Minted, Oauth2Answer, OperationError, Operations, Wanted,
};
use crate::vault::{Grant, GrantFilter};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What a call gives: JSON, or nothing where its status says so.
pub(super) type Answer = Result<Value, OperationError>;

/// Does what is asked. Calls of the runtime have bodies of their own and are answered elsewhere.
pub(super) async fn answer(
    operations: &Operations,
    caller: &Arc<Caller>,
    operation: Operation,
    input: &Values<'_>,
) -> Answer {
    use Operation as O;
    let arns = Arns::of(&operations.host().settings, caller);
    match operation {
        O::CreateWorkloadIdentity => create_workload(operations, caller, input, &arns).await,
        O::GetWorkloadIdentity => {
            let entry = operations.workload(caller, &input.parsed("name")?)?;
            Ok(workload(&entry, &arns))
        }
        O::UpdateWorkloadIdentity => {
            let urls = input.may_texts("allowedResourceOauth2ReturnUrls");
            let entry = operations.update_workload(caller, &input.parsed("name")?, urls).await?;
            Ok(workload(&entry.identity, &arns))
        }
        O::DeleteWorkloadIdentity => {
            operations.delete_workload(caller, &input.parsed("name")?).await?;
            Ok(Value::Null)
        }
        O::ListWorkloadIdentities => list_workloads(operations, caller, input, &arns),

        O::GetWorkloadAccessToken => Ok(minted(&operations.mint(caller, &input.parsed("workloadName")?)?)),
        O::GetWorkloadAccessTokenForJWT => {
            let name = input.parsed("workloadName")?;
            Ok(minted(&operations.mint_for_jwt(caller, &name, input.text("userToken")?).await?))
        }
        O::GetWorkloadAccessTokenForUserId => {
            let name = input.parsed("workloadName")?;
            Ok(minted(&operations.mint_for_user_id(caller, &name, input.text("userId")?)?))
        }
        O::GetResourceOauth2Token => oauth2_token(operations, caller, input).await,
        O::GetResourceApiKey => {
            let (token, provider) =
                (input.text("workloadIdentityToken")?, input.text("resourceCredentialProviderName")?);
            let key = operations.resource_api_key(caller, token, provider.to_owned()).await?;
            Ok(json!({ "apiKey": key.text.as_str() }))
        }
        O::CompleteResourceTokenAuth => {
            let who = input.inner("userIdentifier")?;
            let identifier = match who.may_text("userToken") {
                Some(token) => Identifier::Token(token),
                None => Identifier::UserId(who.text("userId")?),
            };
            operations.complete_consent(caller, input.text("sessionUri")?, identifier).await?;
            Ok(json!({}))
        }

        O::TagResource => {
            operations.tag(caller, input.text("resourceArn")?, input.map("tags")).await?;
            Ok(Value::Null)
        }
        O::UntagResource => {
            operations.untag(caller, input.text("resourceArn")?, input.texts("tagKeys")).await?;
            Ok(Value::Null)
        }
        O::ListTagsForResource => Ok(json!({ "tags": operations.tags(caller, input.text("resourceArn")?)? })),

        O::IntrospectWorkloadAccessToken => {
            let facts = operations.introspect_token(caller, input.text("workloadIdentityToken")?)?;
            Ok(facts.map_or(json!({ "active": false }), |facts| {
                let mut value = json!({
                    "active": true,
                    "tokenId": facts.id,
                    "workloadName": facts.workload,
                    "expiresAt": seconds(facts.expires_at),
                });
                if let Some(user) = &facts.user {
                    value["userIssuer"] = json!(user.issuer);
                    value["userSubject"] = json!(user.subject);
                }
                value
            }))
        }
        O::RevokeWorkloadAccessToken => {
            operations.revoke_token(caller, input.text("workloadIdentityToken")?).await?;
            Ok(Value::Null)
        }
        O::ListGrants => list_grants(operations, caller, input),
        O::RevokeGrant => Ok(grant(&operations.revoke_grant(caller, input.parsed("grantId")?).await?)),

        O::GetTokenVault | O::SetTokenVaultCMK | O::ResetTokenVaultKeyMaterial => {
            super::answers_vault::answer(operations, caller, operation, input, &arns).await
        }
        _ => super::answers_providers::answer(operations, caller, operation, input, &arns).await,
    }
}

/// Seconds since 1970 with a fraction, as REST-JSON writes a timestamp.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

/// What a list was asked for.
pub(super) fn wanted<'a>(input: &Values<'a>) -> Wanted<'a> {
    Wanted { token: input.may_text("nextToken"), most: input.count("maxResults") }
}

/// A page, with the way to the next where there is one.
pub(super) fn page(name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut value = Map::new();
    value.insert(name.to_owned(), items.into());
    if let Some(next) = next {
        value.insert("nextToken".to_owned(), next.into());
    }
    value.into()
}

async fn create_workload(operations: &Operations, caller: &Arc<Caller>, input: &Values<'_>, arns: &Arns) -> Answer {
    let tags = Tags::parse(input.map("tags")).map_err(|malformed| OperationError::malformed("tags", malformed))?;
    let create = CreateWorkload {
        name: input.parsed("name")?,
        publisher: None,
        return_urls: input.texts("allowedResourceOauth2ReturnUrls"),
        tags,
    };
    let made = operations.create_workload(caller, create).await?;
    Ok(json!({
        "name": made.identity.name,
        "workloadIdentityArn": arns.workload(&made.identity.name),
        "allowedResourceOauth2ReturnUrls": made.identity.allowed_return_urls,
    }))
}

fn workload(entry: &WorkloadIdentity, arns: &Arns) -> Value {
    json!({
        "name": entry.name,
        "workloadIdentityArn": arns.workload(&entry.name),
        "allowedResourceOauth2ReturnUrls": entry.allowed_return_urls,
        "createdTime": seconds(entry.created_at),
        "lastUpdatedTime": seconds(entry.updated_at),
    })
}

fn list_workloads(operations: &Operations, caller: &Arc<Caller>, input: &Values<'_>, arns: &Arns) -> Answer {
    let found = operations.list_workloads(caller, wanted(input))?;
    let item = |name: &AgentName| json!({ "name": name, "workloadIdentityArn": arns.workload(name) });
    Ok(page("workloadIdentities", found.entries.iter().map(|entry| item(&entry.name)).collect(), found.next))
}

fn minted(minted: &Minted) -> Value {
    json!({ "workloadAccessToken": minted.token.as_str(), "expiresAt": seconds(minted.expires_at) })
}

async fn oauth2_token(operations: &Operations, caller: &Arc<Caller>, input: &Values<'_>) -> Answer {
    let flow = match input.text("oauth2Flow")? {
        "M2M" => Flow::MachineToMachine,
        "ON_BEHALF_OF_TOKEN_EXCHANGE" => Flow::OnBehalfOf,
        _ => Flow::UserFederation,
    };
    let wishes = Wishes {
        resources: input.texts("resources"),
        audiences: input.texts("audiences"),
        custom_parameters: input.map("customParameters"),
        force_authentication: input.flag("forceAuthentication"),
        custom_state: input.may_text("customState").map(str::to_owned),
        return_url: input.may_text("resourceOauth2ReturnUrl").map(str::to_owned),
    };
    let ask = AskOauth2 {
        workload_access_token: input.text("workloadIdentityToken")?,
        provider: input.text("resourceCredentialProviderName")?.to_owned(),
        scopes: input.texts("scopes"),
        flow,
        wishes,
        session_uri: input.may_text("sessionUri"),
    };
    Ok(match operations.resource_oauth2_token(caller, ask).await? {
        Oauth2Answer::Token(token) => {
            let mut value = json!({
                "accessToken": token.text.as_str(),
                "tokenType": token.token_type,
                "scopes": token.scopes,
            });
            if let Some(at) = token.expires_at {
                value["expiresAt"] = json!(seconds(at));
            }
            value
        }
        Oauth2Answer::Consent { authorization_url, session_uri } => json!({
            "authorizationUrl": authorization_url,
            "sessionUri": session_uri,
            "sessionStatus": "IN_PROGRESS",
        }),
        Oauth2Answer::InProgress { session_uri } => {
            json!({ "sessionUri": session_uri, "sessionStatus": "IN_PROGRESS" })
        }
        Oauth2Answer::Failed { session_uri } => json!({ "sessionUri": session_uri, "sessionStatus": "FAILED" }),
    })
}

fn list_grants(operations: &Operations, caller: &Arc<Caller>, input: &Values<'_>) -> Answer {
    let (issuer, subject) = (input.may_text("userIssuer"), input.may_text("userSubject"));
    let user = match (issuer, subject) {
        (Some(_), Some(_)) => {
            Some(crate::ids::UserId { issuer: input.parsed("userIssuer")?, subject: input.parsed("userSubject")? })
        }
        (Some(_), None) => return Err(OperationError::field("userSubject", "is required beside `userIssuer`")),
        _ => None,
    };
    let filter = GrantFilter {
        user,
        agent: input.may_parsed("workloadName")?,
        provider: input.may_parsed("resourceCredentialProviderName")?,
    };
    let found = operations.page_grants(caller, &filter, subject, wanted(input))?;
    Ok(page("grants", found.grants.iter().map(grant).collect(), found.next))
}

fn grant(grant: &Grant) -> Value {
    let mut value = json!({
        "grantId": grant.id,
        "workloadName": grant.agent,
        "userIssuer": grant.user.issuer,
        "userSubject": grant.user.subject,
        "resourceCredentialProviderName": grant.provider,
        "scopes": grant.granted,
        "createdTime": seconds(grant.created_at),
        "lastUpdatedTime": seconds(grant.updated_at),
    });
    if let Some(at) = grant.expires_at {
        value["expiresAt"] = json!(seconds(at));
    }
    value
}
