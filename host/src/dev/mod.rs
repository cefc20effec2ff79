//! The author's loop, with no outside service: an identity provider, a third party with a calendar, and a start page, all on
//! loopback and all forgotten when the process ends.
//!
//! Nothing here is a pattern for production: whoever can open these pages can be anybody. It is named by `attache dev` and by
//! nothing else, it listens on loopback only, and the host beside it says loudly that it is in development.

mod calendar;
mod codes;
mod identity_provider;
mod keys;
mod look;
mod project;
mod settings;
mod start_page;
mod third_party;

pub use project::{BuildError, Changes, Project};
pub use settings::write as write_settings;

use crate::secret::Secret;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// Who there is to be.
pub const USERS: [&str; 2] = ["alice", "bob"];
/// What tokens for agents are made for (`aud`).
pub const AUDIENCE: &str = "https://attache.test/";

/// Where everything listens. Ports are taken near each other, or wherever there is room.
pub struct Addresses {
    /// The host itself. Free when it was looked for; the host binds it.
    pub host: SocketAddr,
    page: TcpListener,
    identity_provider: TcpListener,
    third_party: TcpListener,
}

/// What runs beside the host.
pub struct World {
    /// The page to open first.
    pub page: String,
    /// The identity provider's issuer.
    pub issuer: String,
    /// The third party's issuer, under which its calendar is too.
    pub third_party: String,
    /// Where to get a user's token: `{token_url}?user=alice`.
    pub token_url: String,
}

impl Addresses {
    /// From this port on; anywhere for 0.
    ///
    /// # Errors
    /// When loopback has no room left.
    pub fn take(from: u16) -> io::Result<Self> {
        let at = |offset: u16| {
            let port = if from == 0 { 0 } else { from.saturating_add(offset) };
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        };
        Ok(Self { page: at(0)?, host: at(1)?.local_addr()?, identity_provider: at(2)?, third_party: at(3)? })
    }

    /// The host's public URL.
    pub fn host_url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// As the settings of the host need them.
    ///
    /// # Errors
    /// When a socket has no address any more.
    pub fn issuers(&self) -> io::Result<(String, String)> {
        Ok((origin(&self.identity_provider)?, origin(&self.third_party)?))
    }
}

fn origin(listener: &TcpListener) -> io::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// Starts everything but the host. It runs until the process ends.
///
/// # Errors
/// When a socket cannot be served.
pub fn start(addresses: Addresses, agent: &str, third_party_secret: Arc<Secret>) -> io::Result<World> {
    let host_url = addresses.host_url();
    let (issuer, third_party) = addresses.issuers()?;
    let page = origin(&addresses.page)?;
    let idp = identity_provider::IdentityProvider::new(&issuer, &format!("{host_url}/sign-in/callback"));
    let start_page = start_page::StartPage {
        agent: agent.to_owned(),
        host: addresses.host,
        host_url: host_url.clone(),
        third_party: third_party.clone(),
        identity_provider: idp.clone(),
    };
    let calendar = third_party::ThirdParty::new(&third_party, &host_url, third_party_secret);
    serve(addresses.identity_provider, identity_provider::router(idp))?;
    serve(addresses.third_party, third_party::router(calendar))?;
    serve(addresses.page, start_page::router(start_page))?;
    Ok(World { page, token_url: format!("{issuer}/user-token"), issuer, third_party })
}

/// Answers only under its own address: a page from elsewhere that resolves its name to this machine gets nothing.
fn serve(listener: TcpListener, router: axum::Router) -> io::Result<()> {
    let own: Arc<str> = listener.local_addr()?.to_string().into();
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = router.layer(middleware::from_fn_with_state(own, only_own_address));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a development service stopped");
        }
    });
    Ok(())
}

async fn only_own_address(State(own): State<Arc<str>>, request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if named != Some(&*own) {
        return (StatusCode::MISDIRECTED_REQUEST, format!("open http://{own} instead\n")).into_response();
    }
    next.run(request).await
}
