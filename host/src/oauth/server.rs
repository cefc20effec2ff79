//! An authorization server: where it is asked, and what it says that it can.

use crate::egress::check_url;
use crate::ids::{Issuer, Malformed};
use std::sync::Arc;
use url::Url;

/// How the endpoints of a provider are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// In its discovery document (OIDC Discovery §4, RFC 8414 §3).
    Discovery {
        /// Compared byte for byte with what the document says.
        issuer: Issuer,
    },
    /// In the configuration.
    Static(Arc<Server>),
}

/// One authorization server, as its discovery document or the configuration describes it. Algorithms are not among it:
/// those are the operator's to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// What its callbacks name as `iss` (RFC 9207), if they do, and what a client assertion is addressed to.
    pub issuer: Option<Issuer>,
    /// Where browsers go. None where no browser ever does.
    pub authorization: Option<Url>,
    /// Where codes and refresh tokens go.
    pub token: Url,
    /// Where tokens are revoked (RFC 7009), if that is possible.
    pub revocation: Option<Url>,
    /// Where a device asks for its codes (RFC 8628 §3.1).
    pub device_authorization: Option<Url>,
    /// Where an authorization request is left before the browser goes (RFC 9126 §2).
    pub pushed_authorization: Option<Url>,
    /// It takes no other authorization requests than those (RFC 9126 §5).
    pub requires_pushed: bool,
    /// Its callbacks always name their issuer (RFC 9207 §3).
    pub callback_issuer: bool,
    /// It binds tokens to a key with the one algorithm we have, ES256 (RFC 9449 §5.1).
    pub dpop: bool,
}

impl Server {
    /// One that has these two endpoints and says nothing else of itself.
    pub fn new(authorization: Option<Url>, token: Url) -> Self {
        Self {
            issuer: None,
            authorization,
            token,
            revocation: None,
            device_authorization: None,
            pushed_authorization: None,
            requires_pushed: false,
            callback_issuer: false,
            dpop: false,
        }
    }

    /// Every endpoint that there is, with its name for a message.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        let some = [
            ("authorization endpoint", self.authorization.as_ref()),
            ("token endpoint", Some(&self.token)),
            ("revocation endpoint", self.revocation.as_ref()),
            ("device authorization endpoint", self.device_authorization.as_ref()),
            ("pushed authorization endpoint", self.pushed_authorization.as_ref()),
        ];
        some.into_iter().filter_map(|(what, url)| Some((what, url?)))
    }
}

/// `{issuer}/.well-known/openid-configuration` (OIDC Discovery §4.1) and
/// `{origin}/.well-known/oauth-authorization-server{path}` (RFC 8414 §3.1).
pub(super) fn places(issuer: &str) -> Result<[Url; 2], String> {
    let base = Url::parse(issuer).map_err(|error| error.to_string())?;
    check_url(&base).map_err(|Malformed(reason)| reason)?;
    if base.query().is_some() {
        return Err("it has a query".into());
    }
    let path = base.path().trim_end_matches('/').to_owned();
    let mut openid = base.clone();
    openid.set_path(&format!("{path}/.well-known/openid-configuration"));
    let mut oauth = base;
    oauth.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    Ok([openid, oauth])
}
