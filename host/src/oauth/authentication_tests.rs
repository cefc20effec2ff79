use super::*;
use std::sync::LazyLock;

/// One issuer for all tests of this room: an RSA key takes its time.
pub(in crate::oauth) fn issuer() -> Arc<WorkloadIssuer> {
    static ISSUER: LazyLock<Arc<WorkloadIssuer>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let url = url::Url::parse("https://agents.example.com/").unwrap();
        Arc::new(WorkloadIssuer::open_or_create(&folder.path().join("tokens.pem"), &url).unwrap())
    });
    Arc::clone(&ISSUER)
}
