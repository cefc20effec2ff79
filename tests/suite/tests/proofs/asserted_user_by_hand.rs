//! Refused: E0451: field `id`

use attache::identity::AssertedUser;
use attache::ids::UserId;

pub fn forge(id: UserId) -> AssertedUser {
    AssertedUser { id }
}
