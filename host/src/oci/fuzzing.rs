//! What a registry says and what names it, for fuzzing.

use super::Reference;
use super::auth::Challenge;
use super::manifest::Manifest;

/// A reference, a challenge or a manifest: a reference is written as it was read and leads to one place.
pub fn registry(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
        let _ = manifest.component();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Challenge::read(text);
    let Ok(reference) = text.parse::<Reference>() else { return };
    assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(&reference));
    let url = url::Url::parse(&format!("https://{}/v2/", reference.registry)).expect("a host, and perhaps a port");
    assert!(url.username().is_empty() && url.path() == "/v2/" && url.query().is_none(), "{url}");
    let path = url.join(&format!("{}/manifests/{}", reference.repository, reference.wanted())).expect("a path");
    assert!(path.origin() == url.origin() && path.path().starts_with("/v2/"), "{path}");
    if reference.is_local() {
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        assert!(local, "plain HTTP would be spoken to {url}");
    }
}
