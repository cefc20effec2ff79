//! Signed requests of strangers, for fuzzing.

use super::sigv4::Signed;
use crate::secret::Secret;

/// A request's head, as lines: method and target, then `name: value`. Nothing that a stranger writes verifies.
pub fn request(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut first = lines.next().unwrap_or_default().splitn(2, |byte| *byte == b' ');
    let mut request =
        http::Request::builder().method(first.next().unwrap_or_default()).uri(first.next().unwrap_or_default());
    for line in lines.take(200) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    let Ok(signed) = Signed::read(&head) else { return };
    let secret = Secret::new(b"a secret that nobody outside has".to_vec());
    let key = super::sigv4::signing_key(&secret, signed.date(), signed.region());
    assert!(!signed.matches(&key, b""), "a signature by whoever has no key");
}
