//! Refused: E0624: associated function `with_key` is private

use attache::access::{AccessKey, Caller};
use std::sync::Arc;

pub fn forge(key: Arc<AccessKey>) -> Arc<Caller> {
    Caller::with_key(key, "us-east-1")
}
