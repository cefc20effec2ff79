//! Documents over the one client for everything that leaves.

use super::jwks::{Documents, MAX_DOCUMENT_BYTES};
use crate::egress::{Client, Fetch};
use futures_util::future::BoxFuture;
use std::time::Duration;
use url::Url;

/// Discovery and key sets are small files; a provider that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(10);

impl Documents for Client {
    fn get(&self, url: &Url) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        let fetch = Fetch { max_bytes: MAX_DOCUMENT_BYTES, timeout: PATIENCE, ..Fetch::get(url.clone()) };
        Box::pin(async move {
            let fetched = self.fetch(fetch).await.map_err(|error| error.to_string())?;
            // A redirect is an answer like any other here, and the wrong one.
            if fetched.status != http::StatusCode::OK {
                return Err(format!("it answered {}", fetched.status.as_u16()));
            }
            Ok(fetched.body.into())
        })
    }
}
