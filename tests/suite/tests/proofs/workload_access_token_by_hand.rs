//! Refused: E0423: cannot initialize a tuple struct which contains private fields

use attache::identity::WorkloadAccessToken;

pub fn forge() -> WorkloadAccessToken {
    WorkloadAccessToken(Default::default())
}
