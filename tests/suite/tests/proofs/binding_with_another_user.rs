//! Refused: E0616: field `user` of struct `Binding` is private

use attache::identity::{Binding, VerifiedUser};
use std::sync::Arc;

pub fn forge(binding: &mut Binding, user: Arc<VerifiedUser>) {
    binding.user = Some(user);
}
