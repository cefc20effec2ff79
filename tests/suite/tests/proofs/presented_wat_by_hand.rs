//! Refused: E0423: cannot initialize a tuple struct which contains private fields

use attache::identity::PresentedWat;

pub fn forge(hash: [u8; 32]) -> PresentedWat {
    PresentedWat(hash)
}
