//! What a hostile or broken guest does.

use crate::bindings::wasi::http::types::{Fields, OutgoingResponse, ResponseOutparam};
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::reply::Query;
use std::hint::black_box;

pub(crate) fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

pub(crate) fn grow() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
pub(crate) fn recurse(depth: u64) -> u64 {
    // A small frame, so that the machine's stack ends before the guest's own.
    black_box(recurse(black_box(depth) + 1))
}

/// The same handle given away twice.
pub(crate) fn two_responses(out: ResponseOutparam) {
    let handle = out.take_handle();
    for _ in 0..2 {
        // The handle was an owned one; the second use is the crime.
        let again = unsafe { ResponseOutparam::from_handle(handle) };
        ResponseOutparam::set(again, Ok(OutgoingResponse::new(Fields::new())));
    }
}

/// Writes `bytes` bytes of log in lines of 64, or the text of `line`.
pub(crate) fn log(query: &Query<'_>) -> String {
    let line = query.text("line");
    if !line.is_empty() {
        println!("{line}");
        eprintln!("{line}");
        return "logged".into();
    }
    for _ in 0..query.number("bytes") / 64 {
        println!("{}", "x".repeat(63));
    }
    "logged".into()
}

/// Takes so many handles and gives none back.
pub(crate) fn handles(count: u64) -> String {
    (0..count).for_each(|_| std::mem::forget(Fields::new()));
    "held".into()
}

pub(crate) fn random(bytes: u64) -> String {
    get_random_bytes(bytes).len().to_string()
}
