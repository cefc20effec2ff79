//! The client modules of the OpenID and FAPI 2.0 conformance plans, against a provider that lies, through a whole host.

mod documents;
mod modules;

use anyhow::{Context as _, Result, ensure};
use modules::{BASIC, CONFIG, FAPI, REFRESH, TABLE};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use suite::lying::{Lying, Told, liar, provider};
use suite::testbed::Service;

/// What stands for a module.
pub(crate) enum How {
    /// With these lies, somebody signs in at the host's own pages all the same.
    SignsIn(&'static [&'static str]),
    /// With these nobody does, and the host says this.
    SignInFails(&'static [&'static str], &'static str),
    /// The same at a host that knows nothing of the provider yet, for lies in documents.
    AnewSignsIn(&'static [&'static str]),
    AnewSignInFails(&'static [&'static str], &'static str),
    /// With these lies of an agent's provider, its user agrees and a grant is stored.
    Consents(&'static [&'static str]),
    ConsentFails(&'static [&'static str], &'static str),
    /// With these a grant is renewed, or is not.
    Renews(&'static [&'static str]),
    RenewalFails(&'static [&'static str], &'static str),
    /// Another test does this.
    Elsewhere(&'static str),
    /// It does not apply, for this reason.
    Never(&'static str),
}

use How::{
    AnewSignInFails, AnewSignsIn, ConsentFails, Consents, Elsewhere, Never, RenewalFails, Renews, SignInFails, SignsIn,
};

#[test]
fn every_module_of_the_plans_stands_in_the_table_once() {
    let plans: BTreeSet<&str> = [&BASIC[..], &CONFIG, &REFRESH, &FAPI].concat().into_iter().collect();
    let ours: Vec<&str> =
        TABLE.iter().map(|(module, _)| *module).filter(|module| !module.starts_with("ours:")).collect();
    let known: BTreeSet<&str> = ours.iter().copied().collect();
    assert_eq!(ours.len(), known.len(), "a module stands in the table twice");
    assert_eq!(known, plans);
    for (module, how) in TABLE {
        match how {
            Elsewhere(test) => assert!(exists(test), "{module}: there is no test `{test}`"),
            Never(why) => assert!(why.len() > 20, "{module}: say why"),
            _ => {}
        }
    }
}

fn exists(test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else { return false };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).is_ok_and(|text| text.contains(&format!("fn {name}(")))
}

fn check(module: &str, told: &Told, expected: Option<&str>) -> Result<()> {
    match expected {
        None => ensure!(told.well, "{module} is to end well: {}", told.said),
        Some(why) => {
            ensure!(!told.well, "{module} is not to end well: {}", told.said);
            ensure!(told.said.contains(why), "{module} is to fail because of `{why}`: {}", told.said);
        }
    }
    Ok(())
}

/// One host for all of them; the provider's lies change from one sign-in to the next.
#[tokio::test(flavor = "multi_thread")]
async fn only_an_id_token_that_is_right_in_everything_signs_somebody_in() -> Result<()> {
    let liar = liar().await?;
    let current = format!("{}/current", liar.issuer());
    let only = format!("\n[issuers.liar]\nissuer = {current:?}\nalgorithms = [\"RS256\"]\n");
    let lying = Lying::host(&current, Vec::new(), &only).await?;
    for (module, how) in TABLE {
        let (lies, expected) = match how {
            SignsIn(lies) => (lies, None),
            SignInFails(lies, why) => (lies, Some(*why)),
            _ => continue,
        };
        liar.control("current", json!(lies)).await?;
        check(module, &lying.sign_in().await?, expected)?;
    }
    // And none of it has done any harm.
    liar.control("current", json!([])).await?;
    check("at the end", &lying.sign_in().await?, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_keys_that_are_wrong_sign_nobody_in() -> Result<()> {
    let liar = liar().await?;
    for (module, how) in TABLE {
        let (lies, expected) = match how {
            AnewSignsIn(lies) => (lies, None),
            AnewSignInFails(lies, why) => (lies, Some(*why)),
            _ => continue,
        };
        let lying = Lying::host(&liar.lying(lies), Vec::new(), "").await?;
        check(module, &lying.sign_in().await?, expected)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_rotate_between_two_sign_ins_are_followed() -> Result<()> {
    let liar = liar().await?;
    let lying = Lying::host(&liar.lying(&[]), Vec::new(), "").await?;
    check("before", &lying.sign_in().await?, None)?;
    liar.control("rotate", json!({})).await?;
    check("after", &lying.sign_in().await?, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_client_is_known_by_its_secret_in_a_header() -> Result<()> {
    let liar = liar().await?;
    let lying = Lying::host(&liar.lying(&[]), Vec::new(), "").await?;
    check("sign-in", &lying.sign_in().await?, None)?;
    let stats = liar.control("stats", json!({})).await?;
    let requests = stats["requests"].as_array().context("a list")?;
    let token = requests.iter().find(|request| request["path"] == "token").context("a token request")?;
    ensure!(token["authorization"].as_str().is_some_and(|header| header.starts_with("Basic ")), "{token}");
    ensure!(token["fields"].get("client_secret").is_none(), "and nowhere else: {token}");
    Ok(())
}

/// Of each module a provider of its own, at one host.
async fn among_providers(liar: &Service, wanted: &[(&str, &[&str])], lines: &str) -> Result<(Lying, String)> {
    let providers = wanted.iter().enumerate();
    let providers = providers.map(|(n, (_, lies))| provider(liar, &format!("p{n}"), lies, lines)).collect();
    let lying = Lying::host(&liar.lying(&[]), providers, "").await?;
    let token = liar.lying_token(json!({})).await?;
    Ok((lying, token))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_answer_that_is_right_in_everything_stores_a_grant() -> Result<()> {
    let liar = liar().await?;
    let rows: Vec<_> = TABLE
        .iter()
        .filter_map(|(module, how)| match how {
            Consents(lies) => Some((*module, *lies, None)),
            ConsentFails(lies, why) => Some((*module, *lies, Some(*why))),
            _ => None,
        })
        .collect();
    let wanted: Vec<_> = rows.iter().map(|(module, lies, _)| (*module, *lies)).collect();
    let (lying, token) = among_providers(&liar, &wanted, "").await?;
    for (n, (module, _, expected)) in rows.iter().enumerate() {
        let told = lying.consent(&token, &format!("provider=p{n}&scope=read")).await?;
        check(module, &told, *expected)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_renewed_for_the_user_whose_it_is() -> Result<()> {
    let liar = liar().await?;
    let rows: Vec<_> = TABLE
        .iter()
        .filter_map(|(module, how)| match how {
            Renews(lies) => Some((*module, *lies, None)),
            RenewalFails(lies, why) => Some((*module, *lies, Some(*why))),
            _ => None,
        })
        .collect();
    // Over after a second, so that the next use renews it.
    let lies: Vec<Vec<&str>> = rows.iter().map(|(_, lies, _)| [&["expires-soon"], *lies].concat()).collect();
    let wanted: Vec<_> = rows.iter().zip(&lies).map(|((module, ..), lies)| (*module, lies.as_slice())).collect();
    let (lying, token) = among_providers(&liar, &wanted, "").await?;
    for (n, (module, _, expected)) in rows.iter().enumerate() {
        let query = format!("provider=p{n}&scope=read&scope=openid");
        check(module, &lying.consent(&token, &query).await?, None)?;
        let before = lying.host.log()?.len();
        let send = format!("send?{query}&url={}/honest/jwks", liar.issuer());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let renewals = || lying.host.json(&["audit", "--action", "token.refresh", "--limit", "50"]);
        let answer = loop {
            let answer = lying.probe(&token, &send).await?;
            let mine =
                renewals()?.as_array().is_some_and(|all| all.iter().any(|one| one["resource"] == format!("p{n}")));
            if mine {
                break answer;
            }
            ensure!(std::time::Instant::now() < until, "{module}: it is renewed: {answer}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let log = lying.host.log()?.get(before..).unwrap_or_default().to_owned();
        let said = format!("{answer}\n{}\n{log}", renewals()?);
        check(module, &Told { well: answer.starts_with("200 "), said }, *expected)?;
    }
    Ok(())
}
