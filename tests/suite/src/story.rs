//! The main job, told once on real parts: `cargo xtask demo` shows it, `tests/story.rs` proves it. The same steps, the
//! same checks; a step that does not hold ends the story with an error.

use crate::call::Reply;
use crate::walk;
use crate::world::{Person, World};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Where the telling goes: a terminal, or nowhere.
pub trait Teller {
    /// A chapter begins.
    fn chapter(&mut self, title: &str);
    /// Something was done, and held.
    fn held(&mut self, what: &str);
    /// What somebody sees, quoted.
    fn seen(&mut self, what: &str);
}

/// Tells nobody.
pub struct Silent;
impl Teller for Silent {
    fn chapter(&mut self, _: &str) {}
    fn held(&mut self, _: &str) {}
    fn seen(&mut self, _: &str) {}
}

/// What the calendar agent is asked to do.
pub fn meeting(world: &World, title: &str) -> Value {
    json!({ "title": title, "start": "2026-11-24T10:00:00Z", "end": "2026-11-24T10:30:00Z", "api": world.bed.saas.issuer() })
}

/// The whole story. `world` has a host with nothing deployed yet.
pub async fn tell(world: &mut World, teller: &mut impl Teller) -> Result<()> {
    deployed(world, teller)?;
    let mut alice = world.person("alice").await?;
    let mut bob = world.person("bob").await?;
    let mut mallory = world.person("mallory").await?;
    invoked(world, &alice, teller).await?;
    consented(world, &mut alice, &mut mallory, teller).await?;
    scheduled(world, &alice, teller).await?;
    bobs_own(world, &mut bob, teller).await?;
    rogue_gets_nothing(world, &alice, teller).await?;
    written_down(world, teller)?;
    revoked(world, &alice, teller).await
}

fn deployed(world: &World, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("An operator starts a host; two strangers' agents are deployed");
    world.host.deploy("calendar", &crate::host::component("calendar")?, "acme.example")?;
    world.host.deploy("rogue", &crate::host::component("rogue")?, "somebody-else.example")?;
    let agents = world.host.json(&["agents"])?;
    let calendar = named(&agents, "calendar")?;
    ensure!(calendar["origin"] == "runtime", "the directory gains a workload identity by itself: {calendar}");
    ensure!(calendar["id"] == "spiffe://attache.test/agent/calendar", "{calendar}");
    ensure!(calendar["publisher"] == "acme.example" && calendar["created_by"].is_string(), "{calendar}");
    ensure!(calendar.to_string().contains("sha256:"), "its digest is known: {calendar}");
    world.host.attache(&["agents", "create", "by-hand", "--publisher", "acme.example"])?;
    ensure!(named(&world.host.json(&["agents"])?, "by-hand")?["origin"] == "manual", "made by hand is origin manual");
    teller.held("`attache agents` says how many agents there are, who made them, and what each can do:");
    teller.seen(&world.host.attache(&["agents"])?);
    Ok(())
}

async fn invoked(world: &World, alice: &Person, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("alice signs in at the identity provider; an app calls the agent with her token");
    let nobody = world.caller.invoke("calendar", "not-a-token", &json!({})).await?;
    ensure!(nobody.status == 401 && nobody.headers.contains_key("www-authenticate"), "{nobody:?}");
    teller.held("without a token that verifies, nothing runs (401)");
    let reply = world.caller.invoke("calendar", &alice.token, &meeting(world, "Lunch")).await?;
    let consent = consent_of(&reply)?;
    teller.held("the agent asked for a calendar credential; alice has granted none, so the app gets:");
    teller.seen(&serde_json::to_string_pretty(&reply.json())?);
    ensure!(consent.url.starts_with(&world.host.url), "{}", consent.url);
    Ok(())
}

async fn consented(world: &World, alice: &mut Person, mallory: &mut Person, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("mallory opens alice's link, and alice opens one of mallory's: nothing is stored for anybody");
    let alices = consent_of(&world.caller.invoke("calendar", &alice.token, &meeting(world, "Lunch")).await?)?;
    let page = walk::open(&mut mallory.browser, &alices.url, "mallory").await?;
    ensure!(page.status == 403, "mallory is refused alice's link: {} {}", page.status, page.body);
    ensure!(!page.body.contains("calendar.read"), "and is not told what it was for");
    let mallorys = consent_of(&world.caller.invoke("calendar", &mallory.token, &meeting(world, "Theft")).await?)?;
    let page = walk::open(&mut alice.browser, &mallorys.url, "alice").await?;
    ensure!(page.status == 403, "alice is refused mallory's link: {} {}", page.status, page.body);
    ensure!(grants(world)?.is_empty(), "nothing is stored for anybody");
    teller.held("both are refused (403), both stand in the audit trail");

    teller.chapter("alice opens her own link and agrees");
    let page = alice.browser.get(&alices.url).await?;
    for part in ["calendar", "acme.example", "sha256:", "calendar.read"] {
        ensure!(page.body.contains(part), "the consent page shows `{part}`:\n{}", page.body);
    }
    teller.held("the host's page names the agent, its publisher, its digest, the scopes and the hosts");
    let page = walk::on(&mut alice.browser, page, "alice").await?;
    ensure!(page.status == 200 && page.url.as_str().starts_with(&world.host.url), "{} {}", page.url, page.body);
    ensure!(grants(world)?.len() == 1, "one grant is stored");
    let again = walk::open(&mut alice.browser, &alices.url, "alice").await?;
    ensure!(grants(world)?.len() == 1, "the link works once: {}", again.status);
    teller.held(
        "authorization code with PKCE, state used once, `iss` checked, code exchanged for the user who started it",
    );
    Ok(())
}

async fn scheduled(world: &World, alice: &Person, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("the agent schedules alice's meeting");
    let reply = world.caller.invoke("calendar", &alice.token, &meeting(world, "Lunch")).await?;
    ensure!(reply.status == 200, "the meeting is scheduled: {} {}", reply.status, reply.text());
    teller.held("the host attached alice's token outside the agent; the third party answered:");
    teller.seen(&serde_json::to_string_pretty(&reply.json())?);
    let refreshed = world.bed.idp.sign_in("alice").await?;
    ensure!(refreshed != alice.token, "a new token of the same human");
    let reply = world.caller.invoke("calendar", &refreshed, &meeting(world, "Tea")).await?;
    ensure!(reply.status == 200, "the grant is alice's, not her token's: {}", reply.text());
    teller.held("a refreshed token of the same alice finds the same grant");
    Ok(())
}

async fn bobs_own(world: &World, bob: &mut Person, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("bob asks the same agent");
    let reply = world.caller.invoke("calendar", &bob.token, &meeting(world, "Golf")).await?;
    let consent = consent_of(&reply)?;
    teller.held("alice's grant is not his: he is asked himself");
    let page = walk::open(&mut bob.browser, &consent.url, "bob").await?;
    ensure!(page.status == 200, "{}", page.body);
    let reply = world.caller.invoke("calendar", &bob.token, &meeting(world, "Golf")).await?;
    ensure!(reply.status == 200, "{}", reply.text());
    ensure!(!reply.text().contains("Lunch"), "bob's calendar holds bob's events: {}", reply.text());
    teller.held("and gets a consent and events of his own");
    Ok(())
}

async fn rogue_gets_nothing(world: &World, alice: &Person, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("rogue, invoked by alice, tries twenty ways to reach her calendar token");
    let before = world.stats().await?;
    let ask =
        json!({ "api": world.bed.saas.issuer(), "provider": "google-calendar", "elsewhere": world.bed.idp.issuer() });
    let reply = world.caller.invoke("rogue", &alice.token, &ask).await?;
    ensure!(reply.status == 200, "{} {}", reply.status, reply.text());
    let report = reply.json();
    let attempts = report.as_array().context("a list of attempts")?;
    ensure!(attempts.len() >= 20, "{} attempts", attempts.len());
    for attempt in attempts {
        ensure!(attempt["got"] == "nothing", "rogue got something: {attempt}");
        teller.seen(&format!("{}: nothing", attempt["attempt"].as_str().unwrap_or("?")));
    }
    let after = world.stats().await?;
    ensure!(after["requests"] == before["requests"], "no request of rogue's reached a calendar: {after}");
    ensure!(after["taken"] == before["taken"], "nothing was taken: {after}");
    teller.held("it got nothing");
    Ok(())
}

fn written_down(world: &World, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("who did what for whom, on which host, allowed or refused, and why");
    let audit = world.host.json(&["audit", "--limit", "1000"])?;
    let entries = audit.as_array().context("a list")?;
    let has = |action: &str, agent: Option<&str>, subject: &str, decision: &str| {
        entries.iter().any(|e| {
            e["action"] == action
                && agent.is_none_or(|a| e["agent"]["name"] == a)
                && (subject.is_empty() || e["user"]["subject"] == subject)
                && e["decision"] == decision
        })
    };
    for (action, agent, subject, decision) in [
        ("agent.deploy", None, "", "allowed"),
        ("user.reject", None, "", "refused"),
        ("agent.invoke", Some("calendar"), "alice", "allowed"),
        ("credential.acquire", Some("calendar"), "alice", "refused"),
        ("consent.view", None, "mallory", "refused"),
        ("consent.view", None, "alice", "refused"),
        ("consent.complete", None, "alice", "allowed"),
        ("credential.acquire", Some("calendar"), "alice", "allowed"),
        ("credential.send", Some("calendar"), "alice", "allowed"),
        ("credential.send", Some("calendar"), "bob", "allowed"),
        ("credential.acquire", Some("rogue"), "alice", "refused"),
    ] {
        ensure!(
            has(action, agent, subject, decision),
            "the trail has no {action} of {agent:?} for `{subject}` {decision}"
        );
    }
    ensure!(
        entries.iter().all(|e| e["host"].as_str().is_some_and(|h| h.starts_with("spiffe://attache.test/host/"))),
        "every record names the host"
    );
    teller.seen(&world.host.attache(&["audit", "--agent", "calendar", "--limit", "12"])?);
    teller.seen(&world.host.attache(&["audit", "--agent", "rogue", "--limit", "2"])?);
    teller.held("every step stands in the audit trail");
    Ok(())
}

async fn revoked(world: &World, alice: &Person, teller: &mut impl Teller) -> Result<()> {
    teller.chapter("alice revokes");
    let told = async || anyhow::Ok(world.stats().await?["revocations"].as_array().map_or(0, Vec::len));
    let before = told().await?;
    let mine = world.caller.send(http::Method::GET, "/grants", Some(&alice.token), &[], "").await?;
    let list = mine.json();
    let grant =
        list.as_array().and_then(|l| l.first()).with_context(|| format!("alice's grants: {}", mine.text()))?.clone();
    teller.held("she lists what she granted:");
    teller.seen(&serde_json::to_string_pretty(&grant)?);
    let id = grant["id"].as_str().context("an id")?;
    let gone = world.caller.send(http::Method::DELETE, &format!("/grants/{id}"), Some(&alice.token), &[], "").await?;
    ensure!(gone.status.is_success(), "{} {}", gone.status, gone.text());
    let reply = world.caller.invoke("calendar", &alice.token, &meeting(world, "Dinner")).await?;
    consent_of(&reply)?;
    teller.held("the next call asks for consent again");
    world.until("the provider was told (RFC 7009)", async || Ok(told().await? > before)).await?;
    teller.held("and the provider was told (RFC 7009)");
    Ok(())
}

/// A consent-required problem.
pub struct ConsentRequired {
    /// Where the browser goes.
    pub url: String,
    /// Names the attempt.
    pub session_uri: String,
}

/// Reads it, or says what came instead.
pub fn consent_of(reply: &Reply) -> Result<ConsentRequired> {
    let body = reply.json();
    ensure!(
        reply.problem().as_deref() == Some("consent-required")
            && reply.headers.get("content-type").is_some_and(|t| t == "application/problem+json"),
        "a consent-required problem was expected, not {} {}",
        reply.status,
        reply.text()
    );
    ensure!(body["expires_at"].is_u64(), "it says when it expires: {body}");
    Ok(ConsentRequired {
        url: body["authorization_url"].as_str().context("authorization_url")?.to_owned(),
        session_uri: body["session_uri"].as_str().context("session_uri")?.to_owned(),
    })
}

/// What `attache grants` lists.
pub fn grants(world: &World) -> Result<Vec<Value>> {
    Ok(world.host.json(&["grants", "list"])?.as_array().context("a list")?.clone())
}

fn named<'a>(list: &'a Value, name: &str) -> Result<&'a Value> {
    list.as_array()
        .and_then(|l| l.iter().find(|a| a["name"] == name))
        .with_context(|| format!("`{name}` is not listed: {list}"))
}
