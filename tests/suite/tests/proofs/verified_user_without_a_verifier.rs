//! Refused: E0624: associated function `prove` is private

use attache::identity::VerifiedUser;

pub fn forge() {
    let _ = VerifiedUser::prove;
}
