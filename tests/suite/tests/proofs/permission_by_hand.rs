//! Refused: E0451: fields

use attache::access::{Caller, Operation, Permitted};
use std::sync::Arc;

pub fn forge(caller: Arc<Caller>) -> Permitted {
    Permitted { caller, operation: Operation::DeployAgent, workload: None }
}
