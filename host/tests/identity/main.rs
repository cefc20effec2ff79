//! Identity from outside: real tokens of an issuer in memory, on a clock that stands still.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../../tests/suite/src/issuer.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other packages, which use other parts of it")]
mod issuer;

mod issued;
mod jumps;
mod kept;
mod keys;
mod rules;
mod sign_in;
mod tokens;
mod wat;

use attache::clock::{Clock, Timestamp};
use attache::identity::{Authorizer, IssuerRule, Rejected, VerifiedUser, Verifier};
use issuer::{TestIssuer, bearer};
use serde_json::Value;
use std::sync::Arc;

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://agents.example.com";

/// An issuer, and a verifier that trusts it for one audience.
struct Bed {
    issuer: TestIssuer,
    clock: Clock,
    verifier: Arc<Verifier>,
    authorizer: Authorizer,
}

impl Bed {
    fn new() -> Self {
        let issuer = TestIssuer::new(ISSUER);
        let clock = Clock::held(Timestamp::from_secs(1_800_000_000));
        let verifier = Verifier::new(issuer.documents(), clock.clone());
        let rule = IssuerRule { audiences: vec![AUDIENCE.into()], ..IssuerRule::new(issuer.issuer()) };
        let authorizer = Authorizer::new("test", vec![rule]).unwrap();
        Self { issuer, clock, verifier, authorizer }
    }

    /// Claims of a good token of this user.
    fn claims(&self, subject: &str) -> Value {
        self.issuer.claims(subject, AUDIENCE, self.clock.now())
    }

    /// A good token of this user.
    fn token(&self, subject: &str) -> String {
        self.issuer.sign(self.claims(subject))
    }

    async fn verify(&self, token: &str) -> Result<Arc<VerifiedUser>, Rejected> {
        self.verifier.verify(&bearer(token), &self.authorizer).await
    }

    async fn refused(&self, token: &str) -> Rejected {
        match self.verify(token).await {
            Err(why) => why,
            Ok(user) => panic!("{user:?} was verified by {token}"),
        }
    }
}

/// Lets what was started beside the test run on; nothing in it waits for anything but the test.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}
