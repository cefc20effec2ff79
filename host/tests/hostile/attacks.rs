//! Every attack: it ends as the table says, in time, leaves nothing behind, and whoever comes next is served.

use crate::bed::{Bed, DEADLINE, folder, resident};
use crate::table::{Ending, IN_RUST, IN_TEXT};
use attache::runtime::{EngineConfig, InvokeError, LoadError, Loaded};
use http_body_util::BodyExt as _;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How far over its deadline an attack may be found on a machine that has other things to do. What it is on one that has
/// not, the benchmark measures.
const LATE: Duration = Duration::from_secs(5);

/// How an invocation ended.
async fn came_of(bed: &Bed, loaded: &Loaded, target: &str) -> Result<Result<String, String>, InvokeError> {
    let response = bed.invoke(loaded, target).await?;
    let body = response.into_body().collect().await;
    Ok(body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).map_err(|error| error.to_string()))
}

/// Whether it ended as it is to.
fn fits(found: &Result<Result<String, String>, InvokeError>, expected: &Ending) -> bool {
    match (expected, found) {
        (Ending::Fault(reason), Err(InvokeError::Trapped(found))) => reason == found,
        // When the guest faults after it has begun to answer, its caller may have the head already.
        (Ending::Fault(reason), Ok(Err(found))) => found.contains(reason),
        (Ending::TimeIsUp, Err(InvokeError::Deadline(found))) => *found == DEADLINE,
        (Ending::TooMuch(what), Err(InvokeError::OutOfMemory(found))) => what == found,
        (Ending::NoAnswer, Err(InvokeError::NoResponse)) => true,
        (Ending::ItsError(begins), Err(InvokeError::AgentError(found))) => {
            found.starts_with(begins) && found.chars().count() <= 201
        }
        (Ending::Answer(text), Ok(Ok(found))) => text == found,
        (Ending::AnswerOf(text), Ok(Ok(found))) => found.ends_with(text),
        (Ending::BreaksOff(reason), Ok(Err(found))) => found.contains(reason),
        // Or not even that, where the machine was slow to begin with.
        (Ending::BreaksOff(_), Err(InvokeError::Deadline(_))) => true,
        _ => false,
    }
}

async fn all(attacks: &[(&str, Ending)], in_text: bool) {
    let (hasty, patient) = (Bed::hasty().await, Bed::patient().await);
    let mut wrong = Vec::new();
    for (name, expected) in attacks {
        // What ends by a limit has the time to come to it, on any machine.
        let bed = if matches!(expected, Ending::TimeIsUp | Ending::BreaksOff(_)) { &hasty } else { &patient };
        let (loaded, target) = match in_text {
            false => (bed.hostile().clone(), format!("/{name}")),
            true => match (bed.text(name), expected) {
                (Ok(loaded), _) => (loaded, "/".to_owned()),
                (Err(error), Ending::NotLoaded(reason)) if error.to_string().contains(reason) => continue,
                (Err(error), _) => {
                    wrong.push(format!("{name}: was not loaded: {error}"));
                    continue;
                }
            },
        };
        let began = Instant::now();
        let found = came_of(bed, &loaded, &target).await;
        let took = began.elapsed();
        if !fits(&found, expected) {
            wrong.push(format!("{name}: {expected:?} was to come of it, and this did: {found:?}"));
        }
        if *expected == Ending::TimeIsUp && took > DEADLINE + LATE {
            wrong.push(format!("{name}: took {took:?}"));
        }
        if let Some(left) = bed.left_behind().await {
            wrong.push(format!("{name}: left behind: {left}"));
        }
        if !bed.next_caller_is_served().await {
            wrong.push(format!("{name}: whoever came next was not served"));
        }
    }
    wrong.extend(hasty.shared.crimes());
    wrong.extend(patient.shared.crimes());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_ends_as_it_should_and_the_next_caller_is_served() {
    all(IN_RUST, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_in_text_ends_as_it_should_and_the_next_caller_is_served() {
    all(IN_TEXT, true).await;
}

#[test]
fn every_attack_that_is_a_file_stands_in_the_table() {
    let files = |dir: &str, ending: &str| -> BTreeSet<String> {
        let files = std::fs::read_dir(folder().join(dir)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).filter(|name| name != "mod").collect()
    };
    let listed = |attacks: &[(&str, Ending)]| -> BTreeSet<String> {
        attacks.iter().map(|(name, _)| name.split('?').next().unwrap().to_owned()).collect()
    };
    assert_eq!(files("src/attacks", ".rs"), listed(IN_RUST));
    assert_eq!(files("wat", ".wat"), listed(IN_TEXT));
}

/// What attacks make the host keep is given back, and never was much: here the worst of them, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_on_the_hosts_memory_do_not_make_it_grow() {
    let worst = ["grow_memory", "flood_of_full_fields", "flood_of_bodies", "read_without_end", "giant_first_lines"];
    let in_text = ["overlapping_giants", "fill_memory", "grow_a_table"];
    let bed = Bed::hasty().await;
    let round = async || {
        for name in worst {
            let _ended = came_of(&bed, bed.hostile(), &format!("/{name}")).await;
        }
        for name in in_text {
            let _ended = came_of(&bed, &bed.text(name).unwrap(), "/").await;
        }
    };
    for _ in 0..2 {
        round().await;
    }
    let before = resident();
    for _ in 0..6 {
        round().await;
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 48 << 20, "the host has {} KiB more than before", grown >> 10);
}

#[tokio::test]
async fn a_component_that_is_too_large_is_refused_unread() {
    let config = EngineConfig { max_instances: 1, max_component_bytes: 1000, ..EngineConfig::default() };
    let bed = Bed::new(config).await;
    let refused = bed.engine.load(&[0xff; 1001]).map(drop).unwrap_err();
    assert_eq!(refused, LoadError::TooLarge { bytes: 1001, most: 1000 });
    assert_eq!(
        refused.to_string(),
        "the component has 1001 bytes, and this host takes at most 1000; build it smaller, or raise `max_component`"
    );
}
