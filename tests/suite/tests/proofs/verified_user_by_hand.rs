//! Refused: E0451: fields

use attache::clock::Timestamp;
use attache::identity::VerifiedUser;
use attache::ids::UserId;
use attache::secret::Secret;

pub fn forge(id: UserId, token: Secret, expires_at: Timestamp) -> VerifiedUser {
    VerifiedUser { id, claims: Default::default(), client: None, scopes: Vec::new(), expires_at, token }
}
