//! Refused: E0308: mismatched types

use attache::identity::{Binding, PresentedWat, WatTable};
use std::sync::Arc;

pub fn forge(table: &WatTable, wat: &PresentedWat) -> Option<Arc<Binding>> {
    table.resolve(wat)
}
