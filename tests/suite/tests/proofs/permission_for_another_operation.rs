//! Refused: E0616: field `operation` of struct `Permitted` is private

use attache::access::{Operation, Permitted};

pub fn forge(mut permitted: Permitted) -> Permitted {
    permitted.operation = Operation::DeployAgent;
    permitted
}
