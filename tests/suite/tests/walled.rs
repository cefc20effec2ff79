//! Every hostile guest once more, in a whole host, in both modes: what comes of an attack in a worker process is what comes
//! of it in the host's own, the host outlives it, and whoever comes next is served.

use anyhow::{Context as _, Result, ensure};
use std::time::Duration;
use suite::host::{AgentSpec, component};
use suite::world::World;

#[path = "../../../host/tests/hostile/table.rs"]
#[allow(dead_code, reason = "what comes of each is said in its own words there")]
mod table;

/// What a caller is told, without what differs from run to run.
type Came = (u16, String);

async fn world(isolation: &str) -> Result<World> {
    let engine = format!("\n[engine]\ndeadline = \"1 s\"\nisolation = {isolation:?}\n");
    let world = World::start_with(|spec| {
        spec.extra.push_str(&engine);
        spec.own_isolation = true;
        let agent = |name: &str| AgentSpec {
            name: name.into(),
            providers: vec![("google-calendar".into(), vec!["calendar.read".into()])],
            claims: vec!["email".into()],
            egress: Vec::new(),
            return_urls: Vec::new(),
            reveal: true,
        };
        spec.agents.push(agent("hostile"));
        spec.agents.push(agent("text"));
    })
    .await?;
    world.host.deploy("hostile", &component("hostile")?, "tests.example")?;
    Ok(world)
}

async fn came_of(world: &World, agent: &str, attack: &str, token: &str) -> Result<Came> {
    let call = world.caller.probe(agent, token, attack);
    let call = tokio::time::timeout(Duration::from_secs(30), call).await.context(attack.to_owned())?;
    let came = match call {
        Ok(reply) => {
            let text = reply.text();
            (reply.status.as_u16(), text.chars().take(400).collect())
        }
        // It had begun to answer.
        Err(_) => (0, "broke off".into()),
    };
    let polite = world.caller.probe("hostile", token, "be_polite").await?;
    ensure!(polite.text() == "hello", "after {attack}: {polite:?}");
    Ok(came)
}

async fn all(isolation: &str) -> Result<Vec<(String, Came)>> {
    let world = world(isolation).await?;
    let pid = world.host.pid();
    let alice = world.token("alice").await?;
    let mut all = Vec::new();
    // One of them ends at whichever limit comes first, by the moment at which requests are denied that wait for nobody here.
    for (attack, _) in table::IN_RUST.iter().filter(|(attack, _)| *attack != "flood_of_requests") {
        all.push(((*attack).to_owned(), came_of(&world, "hostile", attack, &alice).await?));
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/hostile/wat");
    for (attack, ending) in table::IN_TEXT {
        let file = world.host.dir().join(format!("{attack}.wasm"));
        std::fs::write(&file, wat::parse_file(folder.join(format!("{attack}.wat")))?)?;
        let deployed = world.host.deploy("text", &file, "tests.example");
        if matches!(ending, table::Ending::NotLoaded(_)) {
            ensure!(deployed.is_err(), "{attack} was deployed");
            continue;
        }
        deployed.with_context(|| format!("{attack} is not deployed"))?;
        all.push(((*attack).to_owned(), came_of(&world, "text", "", &alice).await?));
    }
    ensure!(world.host.pid() == pid, "the host did not outlive it");
    if isolation == "process" {
        ensure!(!world.host.workers()?.is_empty(), "no worker ran anything: the test tests nothing");
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_comes_to_the_same_behind_the_second_wall() -> Result<()> {
    let (inside, behind) = tokio::try_join!(all("sandbox"), all("process"))?;
    ensure!(inside.len() == behind.len() && inside.len() > 70, "{} attacks", inside.len());
    // On a machine that has other things to do, what one mode ends by a limit another may end by the deadline before: it is
    // stopped in both.
    let alike = |one: &Came, other: &Came| {
        let stopped = |came: &Came| came.0 == 0 || came.0 >= 500;
        one == other || (one.0 == 504 || other.0 == 504) && stopped(one) && stopped(other)
    };
    let differing: Vec<_> = inside.iter().zip(&behind).filter(|(one, other)| !alike(&one.1, &other.1)).collect();
    ensure!(differing.is_empty(), "{differing:#?}");
    Ok(())
}
