//! What anybody may know: which identity providers' tokens are accepted where (RFC 9728), since a caller without a token
//! needs it; and how to check what this host says of its workloads (OIDC Discovery §4, RFC 7517 §5).

use super::problem::Problem;
use super::site::Site;
use crate::identity::Authorizer;
use crate::ids::AgentName;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderName, header};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Short enough that a new key is known in time; long enough that nobody has to ask for every token.
const CACHED: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=300")];

/// Where the metadata of an agent, or of the host, is (RFC 9728 §3.1).
pub(super) fn url(origin: &str, name: Option<&AgentName>) -> String {
    match name {
        Some(name) => format!("{origin}{WELL_KNOWN}/agents/{name}"),
        None => format!("{origin}{WELL_KNOWN}"),
    }
}

pub(super) async fn of_host(State(site): State<Arc<Site>>) -> Result<Json<Value>, Problem> {
    let authorizer = site.host.settings.default_authorizer.as_ref().ok_or_else(Problem::not_found)?;
    Ok(Json(document(site.origin.clone(), authorizer)))
}

/// The same for an agent that exists and one that does not, as long as neither is configured with an authorizer of its
/// own.
pub(super) async fn of_agent(State(site): State<Arc<Site>>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let name = AgentName::parse(&name)?;
    let authorizer = site.authorizer(&name).ok_or_else(Problem::not_found)?;
    Ok(Json(document(format!("{}/agents/{name}", site.origin), authorizer)))
}

/// The host as an issuer.
pub(super) async fn of_issuer(State(site): State<Arc<Site>>) -> impl IntoResponse {
    (CACHED, Json(site.host.issuer.discovery()))
}

/// The keys with which it signs.
pub(super) async fn key_set(State(site): State<Arc<Site>>) -> impl IntoResponse {
    (CACHED, Json(site.host.issuer.key_set()))
}

fn document(resource: String, authorizer: &Authorizer) -> Value {
    let issuers: BTreeSet<&str> = authorizer.rules().iter().map(|rule| rule.issuer.as_str()).collect();
    let scopes: BTreeSet<&str> =
        authorizer.rules().iter().flat_map(|rule| rule.scopes.iter().map(String::as_str)).collect();
    let mut document = json!({
        "resource": resource,
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
    });
    if !scopes.is_empty() {
        document["scopes_supported"] = json!(scopes);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IssuerRule;

    #[test]
    fn the_document_names_issuers_and_scopes_once() {
        let rule = |issuer: &str, scopes: &[&str]| IssuerRule {
            audiences: vec!["attache".into()],
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..IssuerRule::new(issuer.parse().unwrap())
        };
        let rules = vec![
            rule("https://one.example", &["b", "a"]),
            rule("https://one.example", &["a"]),
            rule("https://two.example", &[]),
        ];
        let authorizer = Authorizer::new("default", rules).unwrap();
        assert_eq!(
            document("https://agents.example.com/agents/calendar".into(), &authorizer),
            json!({
                "resource": "https://agents.example.com/agents/calendar",
                "authorization_servers": ["https://one.example", "https://two.example"],
                "bearer_methods_supported": ["header"],
                "scopes_supported": ["a", "b"],
            })
        );
    }

    #[test]
    fn the_address_puts_the_well_known_part_before_the_path() {
        let name = AgentName::parse("calendar").unwrap();
        assert_eq!(
            url("https://agents.example.com", Some(&name)),
            "https://agents.example.com/.well-known/oauth-protected-resource/agents/calendar"
        );
    }
}
