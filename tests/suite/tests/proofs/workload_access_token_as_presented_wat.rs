//! Refused: E0308: mismatched types

use attache::identity::{Binding, IssuedWats, WorkloadAccessToken};
use std::sync::Arc;

pub fn forge(table: &IssuedWats, wat: &WorkloadAccessToken) -> Option<Arc<Binding>> {
    table.resolve(wat)
}
