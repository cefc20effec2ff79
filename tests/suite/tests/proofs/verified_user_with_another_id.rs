//! Refused: E0616: field `id` of struct `VerifiedUser` is private

use attache::identity::VerifiedUser;
use attache::ids::UserId;

pub fn forge(user: &mut VerifiedUser, id: UserId) {
    user.id = id;
}
