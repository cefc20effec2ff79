//! Looks at its own linear memory.

use crate::reply::Query;
use std::hint::black_box;

const PAGE: usize = 64 * 1024;

/// How often the text of `a` directly followed by the text of `b` stands in memory, after growing by `pages` of
/// 64 KiB. The two halves are never joined, so that looking does not make what is looked for.
pub(crate) fn scan(query: &Query<'_>) -> usize {
    let (a, b) = (query.text("a").into_bytes(), query.text("b").into_bytes());
    grow(query.number("pages"));
    let all = everything();
    let length = a.len() + b.len();
    let mut count = 0;
    for at in 0..all.len().saturating_sub(length) {
        if all[at] == a[0] && all[at..].starts_with(&a) && all[at + a.len()..].starts_with(&b) {
            count += 1;
        }
    }
    count
}

/// Writes `a` and `b` joined over `pages` new pages, and leaves them there.
pub(crate) fn fill(query: &Query<'_>) -> usize {
    let joined = format!("{}{}", query.text("a"), query.text("b")).into_bytes();
    let mut left = Vec::with_capacity(query.number("pages") as usize * PAGE);
    while left.len() + joined.len() <= left.capacity() {
        left.extend_from_slice(&joined);
    }
    let count = left.len() / joined.len();
    std::mem::forget(black_box(left));
    count
}

#[cfg(target_arch = "wasm32")]
fn grow(pages: u64) {
    core::arch::wasm32::memory_grow(0, pages as usize);
}

/// All of linear memory but the byte at address zero.
#[cfg(target_arch = "wasm32")]
fn everything() -> &'static [u8] {
    let bytes = core::arch::wasm32::memory_size(0) * PAGE;
    // Every address below the memory's size can be read; what stands there may change, and nobody minds.
    unsafe { std::slice::from_raw_parts(std::ptr::without_provenance(black_box(1)), bytes - 1) }
}

#[cfg(not(target_arch = "wasm32"))]
fn grow(_pages: u64) {}

#[cfg(not(target_arch = "wasm32"))]
fn everything() -> &'static [u8] {
    &[]
}
