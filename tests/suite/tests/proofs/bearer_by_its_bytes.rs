//! Refused: E0624: method `expose` is private

use attache::identity::Bearer;

pub fn peek(bearer: &Bearer) -> &[u8] {
    bearer.expose()
}
