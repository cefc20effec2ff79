//! One HTTP request from the command line to a host's public URL. Not the host's client: it carries no credential of the
//! host and may go wherever the person who types sends it.

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::path::Path;

/// Sends it; the reply's body streams. No redirect is followed: it would carry the user's token along.
pub(super) async fn call(request: Request<Full<Bytes>>, ca: Option<&Path>) -> anyhow::Result<Response<Incoming>> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = match ca {
        None => builder.with_platform_verifier()?.with_no_client_auth(),
        Some(file) => builder.with_root_certificates(roots(file)?).with_no_client_auth(),
    };
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    let shown = format!(
        "{}://{}",
        request.uri().scheme_str().unwrap_or("http"),
        request.uri().authority().map_or("", |a| a.as_str())
    );
    Client::builder(TokioExecutor::new())
        .build(connector)
        .request(request)
        .await
        .with_context(|| format!("`{shown}` does not answer; is the host running, and is this its public URL?"))
}

fn roots(file: &Path) -> anyhow::Result<rustls::RootCertStore> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    let shown = file.display();
    let mut store = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).with_context(|| format!("`{shown}` cannot be read"))? {
        store.add(certificate.with_context(|| format!("`{shown}` holds no certificates in PEM"))?)?;
    }
    Ok(store)
}
