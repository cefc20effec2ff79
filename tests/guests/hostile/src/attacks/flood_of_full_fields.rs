//! Takes handles to header maps, each as full as it gets.

use super::Arrival;
use crate::bindings::wasi::http::types::Fields;

pub(crate) fn run(_arrival: Arrival) {
    loop {
        let fields = Fields::new();
        let mut n = 0;
        while n < 7 && fields.append(&format!("x-{n}"), &vec![b'x'; 4000]).is_ok() {
            n += 1;
        }
        std::mem::forget(fields);
    }
}
