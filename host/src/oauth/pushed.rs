//! Pushed authorization requests (RFC 9126): the provider keeps the request, and the browser carries a reference to it.

use super::authorize::Parameters;
use super::client::{OAuth, OAuthError, Request, no_endpoint};
use super::more::Proofs;
use super::provider::{Provider, When};
use super::server::Server;
use super::tokens::{from_json, unreadable};

#[derive(serde::Deserialize)]
struct Answer {
    request_uri: String,
}

/// A longer reference would not fit into every browser's address line.
const LONGEST: usize = 1024;

impl OAuth {
    /// Leaves the request at the provider, if that is configured and offered, and tells the reference.
    pub(super) async fn pushed(
        &self,
        provider: &Provider,
        server: &Server,
        proofs: Proofs<'_>,
        parameters: &Parameters,
    ) -> Result<Option<String>, OAuthError> {
        let endpoint = match (provider.pushed_authorization, &server.pushed_authorization) {
            (When::Never, _) if server.requires_pushed => {
                return Err(OAuthError::Configuration(format!(
                    "provider `{}` takes pushed authorization requests only; remove `pushed_authorization = \"never\"`",
                    provider.name
                )));
            }
            (When::Never, _) | (When::Offered, None) => return Ok(None),
            (When::Always, None) => return Err(no_endpoint(provider, "pushed_authorization_endpoint")),
            (_, Some(endpoint)) => endpoint,
        };
        // The client names itself as it authenticates, once.
        let form = parameters.iter().filter(|(name, _)| name != "client_id").map(|(n, v)| (n.as_str(), v.as_str()));
        // The request names the key in `dpop_jkt`, so no proof is needed beside it (RFC 9449 §10.1).
        let proofs = Proofs { dpop: None, ..proofs };
        let request = Request::new(provider, server, endpoint, proofs, form.collect());
        let fetched = self.send(Request { names_client: true, ..request }).await?;
        if !fetched.status.is_success() {
            return Err(self.read_refusal(provider, &fetched, &[]));
        }
        let Answer { request_uri } = from_json(&fetched.body)?;
        // RFC 9126 §2.2 wants a URI; what cannot be one is not carried through a browser.
        if request_uri.len() > LONGEST
            || !request_uri.contains(':')
            || !request_uri.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(unreadable("its `request_uri` is malformed"));
        }
        Ok(Some(request_uri))
    }
}

#[cfg(test)]
#[path = "pushed_tests.rs"]
mod tests;
