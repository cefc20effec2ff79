//! A provider's client that somebody else's provider borrows (cross-app OAuth, COAT: Luo et al., USENIX Security 2025).
//!
//! Where others than the operator make providers, one could be made that sends browsers to an honest authorization server
//! as an honest provider's client, and the code that comes back to an address of its maker's. Its redirect URI is its own
//! ([`Parts::redirect_uri`]), and most servers refuse one that was not registered for the client; but some compare only
//! how it begins. So nobody is sent there at all.

use super::error::ConsentError;
use super::flow::Parts;
use crate::oauth::{Provider, Server};
use url::Origin;

impl Parts {
    /// Asked before a browser is sent away and again before a code is, since what a provider says of itself may change: is
    /// it the same client at the same authorization server as one that was there before, while its codes go to another
    /// token endpoint?
    ///
    /// # Errors
    /// [`ConsentError::BorrowedClient`]; and where one of them cannot be asked where its endpoints are.
    pub(super) async fn own_client(&self, provider: &Provider) -> Result<(), ConsentError> {
        let elders = self.providers.elders(provider);
        if elders.is_empty() {
            return Ok(());
        }
        let here = Places::of(&*self.oauth.server(provider).await?);
        for elder in elders {
            if here.borrow_from(&Places::of(&*self.oauth.server(&elder).await?)) {
                return Err(ConsentError::BorrowedClient(elder.name.clone()));
            }
        }
        Ok(())
    }
}

/// Where users are asked, and where their codes are sent.
struct Places {
    asking: Vec<Origin>,
    token: Origin,
}

impl Places {
    fn of(server: &Server) -> Self {
        let asking = [&server.authorization, &server.device_authorization, &server.pushed_authorization];
        Self { asking: asking.into_iter().flatten().map(|url| url.origin()).collect(), token: server.token.origin() }
    }

    fn borrow_from(&self, elder: &Self) -> bool {
        self.token != elder.token && self.asking.iter().any(|place| elder.asking.contains(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(asking: &str, device: Option<&str>, token: &str) -> Places {
        let url = |text: &str| text.parse().unwrap();
        let server = Server::new(Some(url(asking)), url(token));
        Places::of(&Server { device_authorization: device.map(url), ..server })
    }

    #[test]
    fn a_client_is_borrowed_where_users_are_asked_at_one_server_and_codes_go_to_another() {
        let elder =
            places("https://as.example/authorize", Some("https://as.example/device"), "https://as.example/token");
        let thief = "https://thief.example/token";
        for (here, borrowed) in [
            (places("https://as.example/authorize", None, thief), true),
            (places("https://as.example:443/authorize/../other?x", None, thief), true),
            (places("https://thief.example/authorize", Some("https://as.example/device"), thief), true),
            (places("https://as.example/authorize", None, "https://as.example/oauth/token"), false),
            (places("https://other.example/authorize", None, thief), false),
            (places("https://as.example:8443/authorize", None, thief), false),
        ] {
            assert_eq!(here.borrow_from(&elder), borrowed, "{:?} {:?}", here.asking, here.token);
        }
    }
}
