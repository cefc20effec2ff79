//! Refused: E0451: field `entry`

use attache::directory::{Retired, WorkloadIdentity};
use std::sync::Arc;

pub fn forge(entry: Arc<WorkloadIdentity>) -> Retired {
    Retired { entry }
}
