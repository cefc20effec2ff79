//! Thousands of invocations, ended in every way there is: what was taken is given back to the last piece.

use crate::bed::Bed;
use attache::runtime::EngineConfig;
use http_body_util::BodyExt as _;
use std::time::Duration;

/// Instances, tokens and requests are counted exactly; memory is the benchmark's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_endings_leave_nothing_behind() {
    let config = EngineConfig { max_instances: 4, deadline: Duration::from_millis(20), ..EngineConfig::default() };
    let bed = Bed::new(config).await;
    let hostile = bed.hostile().clone();
    for _ in 0..2000 {
        let response = bed.invoke(&hostile, "/be_polite").await;
        if let Ok(response) = response {
            let _read = response.into_body().collect().await;
        }
        let _fault = bed.invoke(&hostile, "/fault_at_once").await;
        // A response of which nobody reads more than the head.
        let _dropped = bed.invoke(&hostile, "/body_without_end").await;
        // A caller that goes away before there is one.
        let _gone =
            tokio::time::timeout(Duration::from_micros(300), bed.invoke(&hostile, "/wait_for_an_upstream")).await;
    }
    for _ in 0..50 {
        let _stopped = bed.invoke(&hostile, "/loop_forever").await;
        let _stopped = bed.invoke(&hostile, "/flood_of_requests").await;
    }
    assert_eq!(bed.left_behind().await, None);
    assert!(bed.next_caller_is_served().await);
    assert_eq!(bed.shared.crimes(), Vec::<String>::new());
}
