//! What one invocation leaves, no other finds.

use crate::bed::Bed;
use attache::runtime::EngineConfig;

/// Few slots, so that every one is used again and again. Each later guest also grows into memory that others may have
/// used.
#[tokio::test]
async fn a_thousand_later_instances_find_nothing_of_an_earlier_one() {
    let bed = Bed::new(EngineConfig { max_instances: 2, ..EngineConfig::default() });
    let (a, b) = ("canary-4f1b", "a977e0c2d6");
    let filled: usize = bed.text(&format!("/fill?a={a}&b={b}&pages=16")).await.parse().unwrap();
    assert!(filled > 40_000, "the canary stands in memory {filled} times");
    for n in 0..1000 {
        let found = bed.text(&format!("/scan?a={a}&b={b}&pages=24")).await;
        assert_eq!(found, "0", "instance {n}");
    }
}

/// The scan would find it: the same guest sees what it wrote itself.
#[tokio::test]
async fn the_scan_finds_what_is_there() {
    assert_eq!(Bed::patient().text("/scan?a=hel&b=lo&pages=1").await, "1", "`hello` stands in the guest's own data");
}
