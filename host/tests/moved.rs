//! What a consent session keeps sealed is of that session alone: somebody who can write to the database and puts one
//! user's verifier, code or wishes into another's row gets nothing opened and nothing sent.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use attache::consent::{ConsentError, ConsentSession, Landing, Question};
use attache::ids::{ConsentId, ProviderName};
use support::{Bench, RETURN_URL, scopes, session_uri};
use url::Url;

/// The sessions of alice and bob for the same question, both at the provider, with a state of the app's own.
async fn both(bench: &Bench) -> Vec<(ConsentId, Url)> {
    let mut all = Vec::new();
    for user in ["alice", "bob"] {
        let (who, wanted) = (bench.bind("calendar", user).await, scopes("read").into());
        let question =
            Question { wanted: &wanted, return_url: Some(RETURN_URL), custom_state: Some("of the app"), force: false };
        let started = bench.consents.start(&who, &bench.provider("google"), &question).await.unwrap();
        let id = ConsentId::from_session_uri(&started.session_uri).unwrap();
        all.push((id, bench.consents.proceed(id, Some(&bench.user(user).await)).await.unwrap()));
    }
    all
}

/// Puts a column of the one into the row of the other.
fn put(bench: &Bench, from: ConsentId, to: ConsentId, column: fn(&mut ConsentSession) -> &mut Option<Vec<u8>>) {
    let mut all = bench.sessions.0.lock().unwrap();
    let sealed = all.iter_mut().find(|session| session.id == from).and_then(|session| column(session).clone());
    assert!(sealed.is_some(), "there is something to be moved");
    *column(all.iter_mut().find(|session| session.id == to).unwrap()) = sealed;
}

#[tokio::test]
async fn a_verifier_a_code_or_a_wish_of_another_session_does_not_open() {
    let google = ProviderName::parse("google").unwrap();
    for (what, column) in [
        ("code", (|session| &mut session.sealed_code) as fn(&mut ConsentSession) -> &mut Option<Vec<u8>>),
        ("verifier", |session| &mut session.sealed_verifier),
    ] {
        let bench = Bench::new().await;
        let sessions = both(&bench).await;
        let mut landed = Vec::new();
        for (_, url) in &sessions {
            let landing = bench.consents.callback(&google, bench.answer(url), None).await.unwrap();
            landed.push(session_uri(&landing));
        }
        put(&bench, sessions[0].0, sessions[1].0, column);
        let bob = bench.user("bob").await;
        let result = bench.consents.complete(landed[1], &bob.into()).await;
        assert!(matches!(result, Err(ConsentError::Seal(_))), "{what}: {result:?}");
        assert_eq!(bench.saas.exchanges(), 0, "{what}: no code left the host");
        assert!(bench.vault.grants().is_empty());
        // The other one was not touched, and goes on.
        let alice = bench.user("alice").await;
        bench.consents.complete(landed[0], &alice.into()).await.unwrap();
    }

    let bench = Bench::new().await;
    let sessions = both(&bench).await;
    put(&bench, sessions[0].0, sessions[1].0, |session| &mut session.sealed_wishes);
    let result = bench.consents.callback(&google, bench.answer(&sessions[1].1), None).await;
    assert!(matches!(result, Err(ConsentError::Seal(_))), "{result:?}");
    let other = bench.consents.callback(&google, bench.answer(&sessions[0].1), None).await;
    assert!(matches!(other, Ok(Landing::ReturnToApp { .. })), "{other:?}");
}
