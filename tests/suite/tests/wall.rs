//! The second wall, `isolation = "process"`: what a worker has while it is honest, and what an attacker has who took one over.
//!
//! The attacker is `src/bin/taken_over`: the whole host's program, whose workers confine themselves as the real ones do and
//! then do what they are told to. What it gets is what somebody gets who broke out of the engine.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use suite::call::{Caller, Reply};
use suite::host::component;
use suite::world::World;

const ENGINE: &str = "\n[engine]\nisolation = \"process\"\ndeadline = \"5s\"\nmax_workers = 6\n";
const ASK: &str = "provider=google-calendar&scope=calendar.read";

async fn world(program: Option<&str>) -> Result<World> {
    let program = program.map(PathBuf::from);
    let world = World::start_with(|spec| {
        spec.program = program;
        spec.extra.push_str(ENGINE);
    })
    .await?;
    world.bed.saas.control("settings", json!({ "access_token_ttl": 7200 })).await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    Ok(world)
}

/// A world whose workers are the attacker's, once Alice and Bob have granted what honest workers asked for.
async fn taken_over() -> Result<(World, [String; 2])> {
    let mut world = world(None).await?;
    for name in ["alice", "bob"] {
        let mut person = world.person(name).await?;
        world.grant(&mut person, "probe", &format!("acquire?{ASK}")).await?;
    }
    world.host.run(env!("CARGO_BIN_EXE_taken_over").into())?;
    let token = |name| world.token_with(json!({ "user": name, "expires_in": 7200 }));
    let tokens = [token("alice").await?, token("bob").await?];
    Ok((world, tokens))
}

async fn attack(caller: &Caller, token: &str, what: &str, known: &Value) -> Result<Reply> {
    let path = format!("/agents/probe/invocations/{what}");
    caller.send(Method::POST, &path, Some(token), &[], known.to_string()).await
}

async fn got(world: &World, token: &str, what: &str, known: Value) -> Result<Value> {
    let reply = attack(&world.caller, token, what, &known).await?;
    ensure!(reply.status == 200, "{what}: {} {}", reply.status, reply.text());
    Ok(reply.json())
}

/// Which of these stand in memory that the process can read.
fn in_memory(pid: u32, needles: &[String]) -> Result<Vec<bool>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut found = vec![false; needles.len()];
    let mut piece = vec![0; 4 << 20];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let (mut at, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
        // The program's own file, of which there is nothing to learn, is left out.
        if !rights.starts_with('r') || line.contains("attache") || line.contains(".so") || line.contains("[v") {
            continue;
        }
        while at < end {
            let want = usize::try_from((end - at).min(piece.len() as u64))?;
            let read = memory.read_at(&mut piece[..want], at).unwrap_or(0);
            if read == 0 {
                break;
            }
            let bytes = &piece[..read];
            if bytes.iter().any(|byte| *byte != 0) {
                for (needle, found) in needles.iter().zip(&mut found) {
                    *found |= !*found && memchr(bytes, needle.as_bytes());
                }
            }
            // Overlapping, so that nothing is missed at a border.
            at += if at + read as u64 >= end { read as u64 } else { read.saturating_sub(4096).max(1) as u64 };
        }
    }
    Ok(found)
}

fn memchr(bytes: &[u8], needle: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == needle[0]) {
        if bytes[from + at..].starts_with(needle) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// Resident memory of the host in KiB.
fn resident(world: &World) -> Result<u64> {
    let pid = world.host.pid().context("a running host")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("a size")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_holds_no_token_and_its_end_harms_nobody_else() -> Result<()> {
    let world = world(None).await?;
    for name in ["alice", "bob"] {
        let mut person = world.person(name).await?;
        world.grant(&mut person, "probe", &format!("acquire?{ASK}")).await?;
    }
    let alice = world.token_with(json!({ "user": "alice", "expires_in": 7200 })).await?;
    let bob = world.token_with(json!({ "user": "bob", "expires_in": 7200 })).await?;
    let before = world.host.workers()?;
    ensure!(before.len() == 2, "one for each user: {before:?}");
    for pid in &before {
        ensure!(fs::read(format!("/proc/{pid}/environ"))?.is_empty(), "a worker has an environment");
    }

    // While credentials are used, again and again, no worker's memory has one; what a worker does have is found.
    let mut needles = world.canaries().await?;
    needles.extend([alice.clone(), bob.clone(), suite::testbed::ATTACHE_SECRET.to_owned()]);
    needles.push("no such probe".into());
    let echo = format!("{}/echo?encoding=slow", world.bed.saas.issuer());
    let using: Vec<_> = [&alice, &bob]
        .into_iter()
        .cycle()
        .take(12)
        .map(|token| {
            let (caller, token, path) = (world.caller.clone(), token.clone(), format!("send?{ASK}&url={echo}"));
            tokio::spawn(async move { caller.probe("probe", &token, &path).await })
        })
        .collect();
    let mut seen = false;
    for _ in 0..3 {
        for pid in world.host.workers()? {
            let found = in_memory(pid, &needles)?;
            let (own, secrets) = found.split_last().context("needles")?;
            seen |= own;
            ensure!(!secrets.contains(&true), "a token is in the memory of worker {pid}: {secrets:?}");
        }
    }
    ensure!(seen, "the look into memory is blind");
    for one in using {
        let reply = one.await??;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    }

    // A worker that is killed in the middle ends what ran in it, with a word; the other user's goes on.
    let slow = |token: &str| {
        let (caller, token) = (world.caller.clone(), token.to_owned());
        tokio::spawn(async move { caller.probe("probe", &token, "sleep?ms=2500").await })
    };
    let mine = world.host.workers()?;
    let (hers, his) = (slow(&alice), slow(&bob));
    tokio::time::sleep(Duration::from_millis(800)).await;
    let victim =
        mine.first().copied().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)).context("a worker")?;
    rustix::process::kill_process(victim, rustix::process::Signal::KILL)?;
    let ended = [hers.await??, his.await??];
    let stopped = ended.iter().filter(|reply| reply.problem().as_deref() == Some("agent-stopped")).count();
    let well = ended.iter().filter(|reply| reply.status == 200).count();
    ensure!((stopped, well) == (1, 1), "{ended:?}");
    for token in [&alice, &bob] {
        let reply = world.caller.probe("probe", token, "").await?;
        ensure!(reply.status == 200, "the next call has a worker: {} {}", reply.status, reply.text());
    }
    let trail = world.host.attache(&["audit", "--since", "1h"])?;
    ensure!(trail.contains("was stopped"), "the trail does not tell why: {trail}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_over_worker_gets_nothing_of_the_machine() -> Result<()> {
    let (world, [alice, bob]) = taken_over().await?;
    let data = world.host.data();
    let file = |name: &str| data.join(name).display().to_string();
    let parent = world.host.pid().context("a running host")?;
    let files =
        [file("attache.db"), file("keyring.toml"), file("host.key"), file("attache.sock"), file("../attache.toml")];
    let found = got(&world, &alice, "machine", json!({ "parent": parent, "files": files })).await?;
    ensure!(found["got"] == json!([]), "{found}");
    ensure!(found["environment"] == json!([]) && found["tried"] == json!(11), "{found}");
    ensure!(found["arguments"].as_array().is_some_and(|all| all.len() == 1), "{found}");
    let open: Vec<&str> = found["inherited"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(open.len() == 3, "two sockets and a log are what the host leaves open: {open:?}");
    let leads = |n: usize, kind: &str| open[n].starts_with(&format!("/proc/self/fd/{n} {kind}:"));
    ensure!(leads(0, "socket") && leads(1, "socket") && leads(2, "pipe"), "{open:?}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    let (socket, calls) = (file("attache.sock"), [libc::SYS_ptrace, libc::SYS_pidfd_open, libc::SYS_process_vm_readv]);
    let mut tries = vec![
        json!({ "what": "connect", "to": address }),
        json!({ "what": "listen" }),
        json!({ "what": "datagram" }),
        json!({ "what": "socket", "to": socket }),
        json!({ "what": "abstract", "to": "anything" }),
        json!({ "what": "run" }),
        json!({ "what": "kill", "parent": parent }),
    ];
    tries.extend(calls.map(|call| json!({ "what": call.to_string(), "parent": parent })));
    for what in tries {
        let reply = attack(&world.caller, &alice, "deadly", &what).await?;
        let ended = reply.problem().as_deref() == Some("agent-stopped");
        ensure!(ended || reply.text().starts_with("refused"), "{what}: {} {}", reply.status, reply.text());
        // The host is there, and serves Alice and others.
        let reply = attack(&world.caller, &bob, "peek", &json!({})).await?;
        ensure!(reply.status == 200, "after {what}: {}", reply.text());
    }
    ensure!(listener.accept().is_err(), "something connected");
    ensure!(world.host.pid() == Some(parent), "the host lives");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_over_worker_gets_nothing_of_anybody_who_is_not_bound_there() -> Result<()> {
    let (world, [alice, bob]) = taken_over().await?;
    let whose = json!({ "url": format!("{}/whose", world.bed.saas.issuer()) });
    // What it may do is real: the credential of its own user is used, and not seen.
    let own = got(&world, &bob, "own", whose.clone()).await?;
    let said = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    ensure!(said(&own, "sent").starts_with("answered 200: bob "), "{own}");
    ensure!(said(&own, "revealed").starts_with("refused: Denied"), "{own}");
    ensure!(said(&own, "made up").starts_with("refused: InvalidRequest"), "{own}");
    ensure!(
        said(&own, "released") == "released" && said(&own, "afterwards").starts_with("refused: InvalidRequest"),
        "{own}"
    );

    // Alice's token and credential, live in her worker, and known to whoever took over Bob's.
    let (caller, hers) = (world.caller.clone(), alice.clone());
    let held = tokio::spawn(async move { attack(&caller, &hers, "hold", &json!({ "ms": 3500 })).await });
    let mut known = Value::Null;
    while known["credential"].is_null() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        known = attack(&world.caller, &alice, "peek", &json!({})).await?.json();
        ensure!(!held.is_finished(), "it was not held: {known}");
    }
    known["url"] = whose["url"].clone();
    let refused = |told: &Value| {
        ["acquire", "send", "plain", "reveal"].into_iter().all(|what| said(told, what) == "refused: NotBound")
    };
    let in_bobs = got(&world, &bob, "use", known.clone()).await?;
    ensure!(refused(&in_bobs), "in Bob's worker, with Alice's token: {in_bobs}");
    // They were real: in Alice's worker, while they are live, they are good for what is hers. Releasing above did nothing.
    let in_hers = got(&world, &alice, "use", known.clone()).await?;
    ensure!(said(&in_hers, "send").starts_with("answered 200: alice "), "{in_hers}");
    ensure!(held.await??.status == 200, "the invocation that held them ended well");
    // And when that invocation has ended, nowhere.
    for (name, token) in [("Alice's", &alice), ("Bob's", &bob)] {
        let told = got(&world, token, "use", known.clone()).await?;
        ensure!(refused(&told), "in {name} worker, after its end: {told}");
    }

    // What the engine would not have let a guest write, the broker does not take either.
    let saas = world.bed.saas.issuer();
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let elsewhere = format!("http://{}/", listener.local_addr()?);
    let forged = got(&world, &bob, "forge", json!({ "url": format!("{saas}/echo"), "elsewhere": elsewhere })).await?;
    for (what, told) in forged.as_object().context("an object")? {
        let told = told.as_str().unwrap_or_default();
        match what.as_str() {
            // Headers of the connection are the host's: what it sent has none of the worker's.
            "host" => ensure!(told.starts_with("answered 200") && !told.contains("evil.example"), "{what}: {told}"),
            "return" => ensure!(!told.contains("evil.example") && told.starts_with("refused"), "{what}: {told}"),
            _ => ensure!(told.starts_with("refused: "), "{what}: {told}"),
        }
    }
    ensure!(listener.accept().is_err(), "something connected elsewhere");
    for canary in world.canaries().await? {
        ensure!(!forged.to_string().contains(&canary), "a token reached the worker");
        ensure!(!own.to_string().contains(&canary), "a token reached the worker");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_speaks_for_others_is_ended_and_it_is_written_down() -> Result<()> {
    let (world, [alice, bob]) = taken_over().await?;
    ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob has a worker");
    // A few: refused. Many: the end of the worker, and of nothing else.
    let few = got(&world, &alice, "guess", json!({ "times": 5 })).await?;
    ensure!(few == json!({ "refused: NotBound": 5 }), "{few}");
    let before = world.host.workers()?;
    let many = attack(&world.caller, &alice, "guess", &json!({ "times": 500 })).await?;
    ensure!(many.problem().as_deref() == Some("agent-stopped"), "{} {}", many.status, many.text());
    ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob is served");
    let after = world.host.workers()?;
    ensure!(
        before.iter().filter(|pid| after.contains(pid)).count() == 1,
        "hers ended and his did not: {before:?} {after:?}"
    );

    let again = got(&world, &alice, "noise", json!({})).await?;
    let told: u64 = again.as_object().context("an object")?.values().filter_map(Value::as_u64).sum();
    ensure!(told == 7 && !again.to_string().contains("answered"), "{again}");
    let raw = attack(&world.caller, &alice, "raw", &json!({})).await?;
    ensure!(raw.status == 200 || raw.problem().as_deref() == Some("agent-stopped"), "{} {}", raw.status, raw.text());
    ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob is served");
    let trail = world.host.attache(&["audit", "--since", "1h"])?;
    let written = trail.matches("worker.stray").count();
    ensure!((1..=3).contains(&written), "once for each process, not {written} times: {trail}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_dies_or_lies_harms_its_own_caller_alone() -> Result<()> {
    let (world, [alice, bob]) = taken_over().await?;
    let began = Instant::now();
    let (caller, hers) = (world.caller.clone(), alice.clone());
    let hung = tokio::spawn(async move { attack(&caller, &hers, "never", &json!({})).await });
    while !hung.is_finished() {
        ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob is served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let hung = hung.await??;
    ensure!(hung.problem().as_deref() == Some("agent-deadline"), "{} {}", hung.status, hung.text());
    ensure!(began.elapsed() < Duration::from_secs(30), "bounded: {:?}", began.elapsed());

    let died = attack(&world.caller, &alice, "die", &json!({})).await?;
    ensure!(died.problem().as_deref() == Some("agent-stopped"), "{} {}", died.status, died.text());
    // Half an answer is none: its caller sees that it broke off.
    ensure!(attack(&world.caller, &alice, "die-midway", &json!({})).await.is_err(), "a half passed for the whole");
    for how in ["end", "more", "length"] {
        let told = attack(&world.caller, &alice, "lie", &json!({ "how": how })).await;
        ensure!(told.as_ref().map_or(true, |reply| reply.status.is_server_error()), "{how}: {told:?}");
    }
    for how in ["status", "lengths", "noise", "refuse", "reason"] {
        let told = attack(&world.caller, &alice, "lie", &json!({ "how": how })).await?;
        ensure!(told.status.is_server_error(), "{how}: {} {}", told.status, told.text());
        ensure!(told.body.len() < 2000 && !told.text().contains("\\r"), "{how}: {} bytes", told.body.len());
    }
    let told = attack(&world.caller, &alice, "lie", &json!({ "how": "headers" })).await?;
    ensure!(told.body == Bytes::from_static(b"abc"), "{}", told.text());
    for (name, value) in &told.headers {
        ensure!(value != "forged", "`{name}` came through");
    }
    ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob is served");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_floods_the_host_with_is_bounded() -> Result<()> {
    let (world, [alice, bob]) = taken_over().await?;
    ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob has a worker");
    let trail =
        |world: &World| -> Result<usize> { Ok(world.host.attache(&["audit", "--since", "1h"])?.lines().count()) };
    let (before, lines) = (resident(&world)?, trail(&world)?);
    for (what, times) in [("half", 1000), ("flood", 5000), ("half", 1000)] {
        let (caller, hers) = (world.caller.clone(), alice.clone());
        let known = json!({ "times": times });
        let flood = tokio::spawn(async move { attack(&caller, &hers, what, &known).await });
        let mut served = 0;
        while !flood.is_finished() {
            ensure!(attack(&world.caller, &bob, "peek", &json!({})).await?.status == 200, "Bob is served");
            served += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let flood = flood.await??;
        ensure!(served > 0 && (flood.status == 200 || flood.status.is_server_error()), "{what}: {}", flood.status);
        eprintln!("{what}: {} {}", flood.status, flood.text());
        let grown = resident(&world)?.saturating_sub(before);
        // A thousand heads of a mebibyte each would be a thousand times as much.
        ensure!(grown < 100 << 10, "{what} made the host grow by {grown} KiB");
    }
    let more = trail(&world)? - lines;
    ensure!(more < 500, "the trail grew by {more} lines");
    Ok(())
}

/// Asks over a connection of its own and reads nothing but what it is told to.
async fn asked(world: &World, token: &str, path: &str) -> Result<tokio::net::TcpStream> {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = tokio::net::TcpStream::connect(world.host.url.trim_start_matches("http://")).await?;
    let request =
        format!("GET /agents/probe/invocations/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// A caller that stops reading stops the guest behind the wall, and one that goes away ends it; neither ends the worker.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_does_not_read_waits_in_the_guest_and_what_it_leaves_ends_there() -> Result<()> {
    use tokio::io::AsyncReadExt as _;
    let world = world(None).await?;
    let alice = world.token("alice").await?;
    ensure!(world.caller.probe("probe", &alice, "whoami").await?.status == 200);
    let workers = world.host.workers()?;
    ensure!(workers.len() == 1, "{workers:?}");
    let before = resident(&world)?;

    // A hundred million chunks, of which nobody reads any: they are not made.
    let silent = asked(&world, &alice, "stream?chunks=100000000&ms=0").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident(&world)?.saturating_sub(before);
    ensure!(grown < 16 << 10, "the host holds {grown} KiB of what nobody reads");
    let peak = fs::read_to_string(format!("/proc/{}/status", workers[0]))?;
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("its memory")?;
    let kib: u64 = peak.split_whitespace().next().context("a number")?.parse()?;
    ensure!(kib < 128 << 10, "the worker holds {kib} KiB");

    // One that reads a little and goes away.
    let mut leaving = asked(&world, &alice, "stream?chunks=100000000&ms=5").await?;
    let mut first = [0; 512];
    ensure!(leaving.read(&mut first).await? > 0);
    drop((silent, leaving));
    let ended = async || {
        let records = world.host.json(&["audit", "--action", "agent.invoke", "--limit", "10"])?;
        let streams = records.as_array().context("a list")?.iter().filter(|one| {
            one["resource"].as_str().is_some_and(|resource| resource.contains("/stream")) && !one["closed_at"].is_null()
        });
        // Not by their deadline.
        let gone = |one: &&Value| one["reason"].as_str().is_some_and(|why| why.starts_with("the caller went away"));
        Ok(streams.filter(gone).count() == 2)
    };
    world.until("both invocations end", ended).await?;
    ensure!(world.caller.probe("probe", &alice, "whoami").await?.status == 200);
    ensure!(world.host.workers()? == workers, "the worker goes on");
    Ok(())
}
