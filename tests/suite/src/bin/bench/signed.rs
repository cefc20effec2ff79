//! Requests of the API, signed as clients of AWS sign them (Signature Version 4), before the clock runs.

use anyhow::{Context as _, Result};
use attache::ids::{fill_random, hex, sha256};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use bytes::Bytes;
use serde_json::Value;

const SERVICE: &str = "bedrock-agentcore";
const REGION: &str = "us-east-1";

/// Signs with one access key, today.
pub(crate) struct Signer {
    id: String,
    moment: String,
    key: Key,
    /// `127.0.0.1:port`.
    host: String,
}

/// A request that is sent once.
pub(crate) struct Signed {
    pub(crate) path: &'static str,
    pub(crate) headers: [(&'static str, String); 5],
    pub(crate) body: Bytes,
}

impl Signer {
    /// With a key as `attache keys create` shows it.
    pub(crate) fn new(key: &Value, host: &str) -> Result<Self> {
        let text = |name: &str| key[name].as_str().with_context(|| format!("a key's `{name}`"));
        let now = attache::clock::Clock::system().now().to_string();
        // `2026-11-24T12:30:00.000Z`, as ISO 8601 has it without marks.
        let moment: String = now.chars().filter(char::is_ascii_alphanumeric).take(15).chain(['Z']).collect();
        let first = format!("AWS4{}", text("secret_access_key")?);
        let scope = [&moment[..8], REGION, SERVICE, "aws4_request"];
        let key = scope.iter().fold(Key::new(HMAC_SHA256, first.as_bytes()), |key, part| {
            Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref())
        });
        Ok(Self { id: text("access_key_id")?.to_owned(), moment, key, host: host.to_owned() })
    }

    /// With an invocation id of its own, as the clients for Go, Java, JavaScript and Rust send one.
    pub(crate) fn sign(&self, path: &'static str, body: &Bytes) -> Signed {
        let mut id = [0; 16];
        fill_random(&mut id);
        let names = "amz-sdk-invocation-id;content-type;host;x-amz-date";
        let (id, kind, host, moment) = (hex(&id), "application/json", &self.host, &self.moment);
        let canonical = format!(
            "POST\n{path}\n\namz-sdk-invocation-id:{id}\ncontent-type:{kind}\nhost:{host}\nx-amz-date:{moment}\n\n{names}\n{}",
            hex(&sha256(body))
        );
        let scope = format!("{}/{REGION}/{SERVICE}/aws4_request", &moment[..8]);
        let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hex(&sha256(canonical.as_bytes())));
        let signature = hex(sign(&self.key, text.as_bytes()).as_ref());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", self.id);
        let headers = [
            ("amz-sdk-invocation-id", id),
            ("content-type", kind.to_owned()),
            ("host", host.clone()),
            ("x-amz-date", moment.clone()),
            ("authorization", authorization),
        ];
        Signed { path, headers, body: body.clone() }
    }
}
