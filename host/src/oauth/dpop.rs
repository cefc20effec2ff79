//! Token requests that prove possession of a key (RFC 9449 §5).

use super::client::{OAuthError, unsent};
use crate::egress::{Client, Fetch, Fetched};
use crate::jose::DpopProver;
use http::Uri;
use serde::Deserialize;

/// Sends a request to an authorization server, with a proof where there is a prover.
///
/// A server that wants a nonce says so, and is asked once more with it (RFC 9449 §8). `make` is called for each request
/// that is sent: a client assertion works only once.
///
/// # Errors
/// [`OAuthError`].
pub(super) async fn fetch(
    client: &Client,
    prover: Option<&DpopProver>,
    make: impl Fn() -> Result<Fetch, OAuthError>,
) -> Result<Fetched, OAuthError> {
    let Some(prover) = prover else { return client.fetch(make()?).await.map_err(unsent) };
    let mut again = true;
    loop {
        let mut fetch = make()?;
        let uri = Uri::try_from(fetch.url.as_str())
            .map_err(|error| OAuthError::Configuration(format!("the endpoint cannot be asked: {error}")))?;
        let proof = prover
            .header(&fetch.method, &uri, None)
            .map_err(|error| OAuthError::Configuration(format!("no proof of possession can be made: {error}")))?;
        fetch.headers.insert(DpopProver::HEADER, proof);
        let fetched = client.fetch(fetch).await.map_err(unsent)?;
        let news = prover.remember(&uri, false, &fetched.headers);
        if !(again && news && wants_nonce(&fetched)) {
            return Ok(fetched);
        }
        again = false;
    }
}

/// 400 and `use_dpop_nonce` (RFC 9449 §8); 401 is what some servers say.
fn wants_nonce(fetched: &Fetched) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    matches!(fetched.status.as_u16(), 400 | 401)
        && serde_json::from_slice::<Refusal>(&fetched.body).is_ok_and(|refusal| refusal.error == "use_dpop_nonce")
}

#[cfg(test)]
#[path = "dpop_tests.rs"]
mod tests;
