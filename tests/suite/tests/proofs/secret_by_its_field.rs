//! Refused: E0616: field `0` of struct `Secret` is private

use attache::secret::Secret;

pub fn peek(secret: &Secret) -> &[u8] {
    &secret.0
}
