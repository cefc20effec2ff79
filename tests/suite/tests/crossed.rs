//! Answers of providers that are crossed: between providers, sessions, redirect URIs and people, through a whole host.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use suite::browser::{Browser, Page};
use suite::lying::{Lying, liar, provider};
use suite::testbed::Service;
use suite::world::quoted;
use url::Url;

/// Two providers of one make, at which the host has the same client id.
async fn world() -> Result<(Service, Lying)> {
    let liar = liar().await?;
    let providers = vec![provider(&liar, "one", &[], ""), provider(&liar, "two", &["honest~two"], "")];
    let lying = Lying::host(&liar.lying(&[]), providers, "").await?;
    Ok((liar, lying))
}

/// Somebody with a browser that stops where a provider sends it back to the host, and their token.
struct Person {
    browser: Browser,
    token: String,
}

impl Person {
    async fn new(liar: &Service, lying: &Lying, name: &str) -> Result<Self> {
        liar.control("user", json!({ "name": name })).await?;
        let mut browser = Browser::new().stopping_at(format!("{}/oauth2/callback/", lying.host.url));
        let page = browser.get(&format!("{}/me", lying.host.url)).await?;
        ensure!(page.url.path() == "/me" && page.status == 200, "{} {}", page.url, page.body);
        let token = liar.lying_token(json!({ "user": name })).await?;
        Ok(Self { browser, token })
    }

    async fn link(&self, lying: &Lying, provider: &str) -> Result<String> {
        let text = lying.probe(&self.token, &format!("acquire?provider={provider}&scope=read")).await?;
        quoted(&text, "authorization-url: ").with_context(|| format!("a link, not {text}"))
    }

    /// Agrees to what their own agent asks: what the provider sends back, not yet delivered.
    async fn answer(&mut self, lying: &Lying, provider: &str) -> Result<Url> {
        let link = self.link(lying, provider).await?;
        let page = self.browser.get(&link).await?;
        let back = self.browser.submit(&page.form("/consent/")?, &[]).await?;
        ensure!(back.url.path() == format!("/oauth2/callback/{provider}"), "{} {}", back.url, back.body);
        Ok(back.url)
    }

    async fn brings(&mut self, answer: &Url) -> Result<Page> {
        self.browser.get(answer.as_str()).await
    }
}

fn of(answer: &Url, name: &str) -> String {
    answer.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// The answer with this parameter of another.
fn with(answer: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<_> = answer.query_pairs().into_owned().collect();
    let mut changed = answer.clone();
    changed.query_pairs_mut().clear();
    for (known, old) in pairs {
        changed.query_pairs_mut().append_pair(&known, if known == name { value } else { &old });
    }
    changed
}

fn at(answer: &Url, provider: &str) -> Url {
    let mut moved = answer.clone();
    moved.set_path(&format!("/oauth2/callback/{provider}"));
    moved
}

async fn codes_that_came(liar: &Service) -> Result<usize> {
    let stats = liar.control("stats", json!({})).await?;
    let requests = stats["requests"].as_array().context("a list")?;
    Ok(requests
        .iter()
        .filter(|one| {
            one["path"] == "token" && one["fields"]["redirect_uri"].as_str().is_some_and(|uri| uri.contains("/oauth2/"))
        })
        .count())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_good_at_its_own_provider_for_its_own_session_once() -> Result<()> {
    let (liar, lying) = world().await?;
    let mut alice = Person::new(&liar, &lying, "alice").await?;
    // Of one provider, brought to the other: as it is, and dressed up as if it came from there.
    for (from, to) in [("one", "two"), ("two", "one")] {
        let other = alice.answer(&lying, to).await?;
        for dressed in [false, true] {
            let answer = at(&alice.answer(&lying, from).await?, to);
            let answer = if dressed { with(&answer, "iss", &of(&other, "iss")) } else { answer };
            let page = alice.brings(&answer).await?;
            ensure!(page.status.is_client_error(), "{from} at {to}: {} {}", page.status, page.body);
            // And it is used up where it belongs.
            let page = alice.brings(&at(&answer, from)).await?;
            ensure!(page.status.is_client_error(), "{from} after {to}: {} {}", page.status, page.body);
        }
    }
    ensure!(codes_that_came(&liar).await? == 0, "no code left the host");
    ensure!(lying.grants()? == 0, "nothing is stored");

    // A code of one provider with the state of a session at the other: it goes where that session's question went, and the
    // verifier is not the one that the code was asked for with.
    for (of_state, of_code) in [("one", "two"), ("two", "one"), ("one", "one")] {
        let (state, code) = (alice.answer(&lying, of_state).await?, alice.answer(&lying, of_code).await?);
        let page = alice.brings(&with(&state, "code", &of(&code, "code"))).await?;
        ensure!(!page.status.is_success(), "{of_state} with the code of {of_code}: {} {}", page.status, page.body);
        ensure!(lying.grants()? == 0, "nothing is stored");
    }

    // As it should be, and then once more.
    let answer = alice.answer(&lying, "one").await?;
    let page = alice.brings(&answer).await?;
    ensure!(page.status == 200 && lying.grants()? == 1, "{} {}", page.status, page.body);
    let before = codes_that_came(&liar).await?;
    let page = alice.brings(&answer).await?;
    ensure!(page.status.is_client_error(), "again: {} {}", page.status, page.body);
    ensure!(codes_that_came(&liar).await? == before && lying.grants()? == 1, "nothing happens twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_finishes_what_somebody_else_started() -> Result<()> {
    let (liar, lying) = world().await?;
    let mut alice = Person::new(&liar, &lying, "alice").await?;
    let mut mallory = Person::new(&liar, &lying, "mallory").await?;
    // The link, forwarded either way: whoever opens it learns nothing of what is asked.
    let (of_alice, of_mallory) = (alice.link(&lying, "one").await?, mallory.link(&lying, "one").await?);
    for (link, other) in [(of_alice, &mut mallory), (of_mallory, &mut alice)] {
        let page = other.browser.get(&link).await?;
        ensure!(page.status == 403 && !page.body.contains("probe"), "{} {}", page.status, page.body);
    }
    // The answer, forwarded either way, and by somebody who is not signed in at all.
    for turn in 0..3 {
        let mut nobody = Browser::new();
        let (answer, page) = match turn {
            0 => {
                let answer = mallory.answer(&lying, "one").await?;
                (answer.clone(), alice.brings(&answer).await?)
            }
            1 => {
                let answer = alice.answer(&lying, "one").await?;
                (answer.clone(), mallory.brings(&answer).await?)
            }
            _ => {
                let answer = alice.answer(&lying, "one").await?;
                (answer.clone(), nobody.get(answer.as_str()).await?)
            }
        };
        ensure!(!page.status.is_success(), "{turn}: {} {}", page.status, page.body);
        // Its owner cannot use it any more either: a code that others have seen is burnt.
        let owner = if turn == 0 { &mut mallory } else { &mut alice };
        let page = owner.brings(&answer).await?;
        ensure!(page.status.is_client_error(), "{turn}, its owner: {} {}", page.status, page.body);
    }
    ensure!(codes_that_came(&liar).await? == 0, "no code left the host");
    ensure!(lying.grants()? == 0, "nothing is stored for anybody");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_user_is_not_resumed_by_another() -> Result<()> {
    let (liar, lying) = world().await?;
    let session = [("attache-session-id", "a-session-that-alice-has-chosen-0123456789")];
    let (alice, mallory) =
        (liar.lying_token(json!({ "user": "alice" })).await?, liar.lying_token(json!({ "user": "mallory" })).await?);
    let path = "/agents/probe/invocations/";
    for (who, expect) in [(&alice, 200), (&mallory, 403), (&alice, 200)] {
        let reply = lying.caller.send(http::Method::GET, path, Some(who), &session, bytes::Bytes::new()).await?;
        ensure!(reply.status == expect, "{} {}", reply.status, reply.text());
    }
    Ok(())
}
