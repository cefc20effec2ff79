//! Versions of an agent: what users agreed to is kept by one that wants no more, one that wants more asks them again and says
//! what is new; a version is rolled back, pinned, and stopped for good by its digest.

use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;
use suite::host::component;
use suite::walk;
use suite::world::{World, quoted};

/// The probe with one more custom section, in a file of its own: other bytes.
fn version(world: &World, name: &str, section: &str, text: &str) -> Result<PathBuf> {
    let mut bytes = std::fs::read(component("probe")?)?;
    let mut body = vec![u8::try_from(section.len())?];
    body.extend_from_slice(section.as_bytes());
    body.extend_from_slice(text.as_bytes());
    // A size of one or two bytes in LEB128.
    let size = body.len();
    bytes.push(0);
    match u8::try_from(size) {
        Ok(size) if size < 128 => bytes.push(size),
        _ => bytes.extend([u8::try_from(size & 127)? | 128, u8::try_from(size >> 7)?]),
    }
    bytes.extend(body);
    let file = world.host.dir().join(format!("{name}.wasm"));
    std::fs::write(&file, bytes)?;
    Ok(file)
}

fn digest(world: &World) -> Result<String> {
    let agents = world.host.json(&["agents"])?;
    let probe = agents.as_array().and_then(|all| all.iter().find(|one| one["name"] == "probe")).context("probe")?;
    Ok(probe["version"]["digest"].as_str().context("a digest")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_wants_more_asks_the_user_again_and_says_what_is_new() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    let acquire = "acquire?provider=google-calendar&scope=calendar.read";
    world.grant(&mut alice, "probe", acquire).await?;
    let url = format!("{}/calendar/v3/calendars/primary/events", world.bed.saas.issuer());
    let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    let send = format!("send?provider=google-calendar&scope=calendar.read&url={url}");
    let works =
        async |token: &str| anyhow::Ok(world.caller.probe("probe", token, &send).await?.text().starts_with("200 "));
    ensure!(works(&alice.token).await?);
    let first = digest(&world)?;

    // Other bytes that want the same.
    world.host.deploy("probe", &version(&world, "same", "x-note", "hello")?, "tests.example")?;
    ensure!(digest(&world)? != first && works(&alice.token).await?, "the same authority keeps the grant");
    let same = digest(&world)?;

    // Bytes whose author says that they call another host.
    let more = version(&world, "more", "attache:manifest", r#"{"hosts":["collect.example"]}"#)?;
    let told = world.host.attache(&[
        "deploy",
        more.to_str().context("a path")?,
        "--name",
        "probe",
        "--publisher",
        "tests.example",
        "--yes",
    ])?;
    ensure!(told.contains("more than the version before") && told.contains("host collect.example"), "{told}");
    let asked = world.caller.probe("probe", &alice.token, acquire).await?;
    let link = quoted(&asked.text(), "authorization-url: ").with_context(|| asked.text())?;
    ensure!(!works(&alice.token).await?, "it uses what was granted to one that wanted less");
    // She has signed in before, so the page is there at once.
    let page = alice.browser.get(&link).await?;
    ensure!(page.body.contains("New in this version"), "{}", page.body);
    ensure!(page.body.contains("it calls collect.example"), "{}", page.body);
    let page = walk::on(&mut alice.browser, page, "alice").await?;
    ensure!(page.status == 200, "{} {}", page.status, page.body);
    ensure!(works(&alice.token).await?, "she agreed to what is new");

    // Back: what she agreed to by now covers it.
    world.host.attache(&["agents", "roll-back", "probe"])?;
    ensure!(digest(&world)? == same, "the one before");
    ensure!(works(&alice.token).await?);
    let versions = world.host.json(&["agents", "versions", "probe"])?;
    ensure!(versions.as_array().is_some_and(|all| all.len() == 3), "{versions}");
    world.host.attache(&["agents", "roll-back", "probe", &first])?;
    ensure!(digest(&world)? == first);
    let missing = format!("sha256:{}", "0".repeat(64));
    let refused = world.host.attache(&["agents", "roll-back", "probe", &missing]);
    ensure!(format!("{:#}", refused.err().context("none of its versions")?).contains("attache agents versions probe"));
    Ok(())
}

/// A consent that began at one version does not end at another that wants more.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_wants_more_does_not_slip_in_while_the_user_reads() -> Result<()> {
    let world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    let mut alice = world.person("alice").await?;
    let acquire = "acquire?provider=google-calendar&scope=calendar.read";
    let reply = world.caller.probe("probe", &alice.token, acquire).await?;
    let link = quoted(&reply.text(), "authorization-url: ").with_context(|| reply.text())?;
    let more = version(&world, "more", "attache:manifest", r#"{"hosts":["collect.example"]}"#)?;
    world.host.deploy("probe", &more, "tests.example")?;
    let page = walk::open(&mut alice.browser, &link, "alice").await?;
    ensure!(page.status != 200 && page.body.contains("wants more by now"), "{} {}", page.status, page.body);
    let grants = world.host.json(&["grants"])?;
    ensure!(grants.as_array().is_some_and(Vec::is_empty), "{grants}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_pinned_and_stopped_for_good_by_its_digest() -> Result<()> {
    let mut world = World::start().await?;
    world.host.deploy("probe", &component("probe")?, "tests.example")?;
    world.host.deploy("hello", &component("probe")?, "tests.example")?;
    let alice = world.token("alice").await?;
    let (first, file) = (digest(&world)?, version(&world, "other", "x-note", "hello")?);
    world.host.attache(&["agents", "pin", "probe"])?;
    let refused = format!("{:#}", world.host.deploy("probe", &file, "tests.example").err().context("pinned")?);
    ensure!(refused.contains("attache agents unpin probe"), "{refused}");
    world.host.attache(&["agents", "unpin", "probe"])?;

    // What runs of it is stopped, under both of its names.
    let running = ["probe", "hello"].map(|name| {
        let (caller, token) = (suite::call::Caller::new(&world.host.url), alice.clone());
        tokio::spawn(async move { caller.probe(name, &token, "sleep?ms=20000").await })
    });
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    world.host.attache(&["agents", "kill", &first, "--reason", "it was found to phone home"])?;
    for running in running {
        let reply = tokio::time::timeout(std::time::Duration::from_secs(10), running).await???;
        ensure!(reply.status == 403, "{reply:?}");
    }
    for name in ["probe", "hello"] {
        let reply = world.caller.probe(name, &alice, "whoami").await?;
        ensure!(reply.status == 403 && reply.text().contains("for good"), "{reply:?}");
    }
    let refused = format!("{:#}", world.host.deploy("calendar", &component("probe")?, "x").err().context("killed")?);
    ensure!(refused.contains("may not run on this host"), "{refused}");
    world.host.restart()?;
    ensure!(world.caller.probe("probe", &alice, "whoami").await?.status == 403, "it outlives a restart");
    // Another version is no harm, and going back to this one is.
    world.host.deploy("probe", &file, "tests.example")?;
    ensure!(world.caller.probe("probe", &alice, "whoami").await?.status == 200);
    ensure!(world.host.attache(&["agents", "roll-back", "probe", &first]).is_err());
    ensure!(world.host.attache(&["agents", "killed"])?.contains("phone home"));
    world.host.attache(&["agents", "revive", &first])?;
    world.host.attache(&["agents", "roll-back", "probe", &first])?;
    ensure!(world.caller.probe("probe", &alice, "whoami").await?.status == 200);
    let killed = world.host.json(&["audit", "--action", "component.kill"])?;
    ensure!(killed[0]["detail"]["reason"] == "it was found to phone home", "{killed}");
    Ok(())
}
