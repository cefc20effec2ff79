//! The operations of Amazon's models that this host does not take (memory, gateways, payments, consent portals, …), so that
//! a client is told so instead of finding nothing.

/// One of them.
#[derive(Clone, Copy)]
pub(in crate::http) struct Elsewhere {
    pub(in crate::http) method: &'static str,
    pub(in crate::http) path: &'static str,
    pub(in crate::http) name: &'static str,
}

/// All of them: a line each in `elsewhere.txt`.
pub(in crate::http) fn elsewhere() -> impl Iterator<Item = Elsewhere> {
    include_str!("elsewhere.txt").lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(Elsewhere { method: words.next()?, path: words.next()?, name: words.next()? })
    })
}
