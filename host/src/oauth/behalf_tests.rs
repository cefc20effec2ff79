use super::super::client::tests::{every_lie_is_caught, fixed, form, form_is, oauth, provider, secret, server};
use super::super::{Vendor, VendorInput};
use super::*;
use crate::egress::testing::{Upstream, response};
use crate::ids::Issuer;

const ANSWER: &str = r#"{"access_token":"for-alice","token_type":"Bearer","expires_in":60,"refresh_token":"no",
    "issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#;

fn behalf(grant: Delegation) -> Option<OnBehalfOf> {
    Some(OnBehalfOf {
        grant,
        actor: ActorToken::None,
        subject_token_type: token_types::JWT.into(),
        requested_token_type: None,
        client_authentication: None,
    })
}

fn of(token: &Secret) -> Exchange<'_> {
    Exchange { subject_token: token, subject_token_type: None, actor: None }
}

fn scopes() -> Scopes {
    Scopes::parse(["b", "a"]).unwrap()
}

async fn answering(body: &'static str) -> Upstream {
    Upstream::answering(move |_| response("200 OK", "", body)).await
}

#[tokio::test]
async fn a_users_token_is_exchanged() {
    let upstream = answering(ANSWER).await;
    let (oauth, _) = oauth();
    let mut provider = provider(fixed(&upstream.url("")));
    provider.on_behalf_of = behalf(Delegation::TokenExchange);
    let (alice, agent) = (secret("alice's"), secret("agent's"));
    let more = More { audiences: vec!["api".into()], resources: vec!["urn:r".into()], parameters: vec![] };
    let actor = Some((&*agent, token_types::ACCESS_TOKEN));
    let exchange = Exchange { actor, ..of(&alice) };
    let tokens = oauth.on_behalf_of(&provider, Proofs::default(), &exchange, &scopes(), &more).await.unwrap();
    assert_eq!(tokens.access.expose(), b"for-alice");
    assert!(tokens.refresh.is_none());
    form_is(
        &upstream.requests()[0],
        &[
            ("grant_type", &[TOKEN_EXCHANGE]),
            ("subject_token", &["alice's"]),
            ("subject_token_type", &[token_types::JWT]),
            ("actor_token", &["agent's"]),
            ("actor_token_type", &[token_types::ACCESS_TOKEN]),
            ("scope", &["a b"]),
            ("resource", &["urn:r"]),
            ("audience", &["api"]),
        ],
    );
    // Per question, and per provider.
    provider.on_behalf_of.as_mut().unwrap().requested_token_type = Some(token_types::ACCESS_TOKEN.into());
    provider.on_behalf_of.as_mut().unwrap().client_authentication = Some(ClientAuthentication::Anonymous);
    let exchange = Exchange { subject_token_type: Some(token_types::ID_TOKEN), ..of(&alice) };
    let none = (Scopes::default(), More::default());
    oauth.on_behalf_of(&provider, Proofs::default(), &exchange, &none.0, &none.1).await.unwrap();
    let request = &upstream.requests()[1];
    form_is(
        request,
        &[
            ("grant_type", &[TOKEN_EXCHANGE]),
            ("subject_token", &["alice's"]),
            ("subject_token_type", &[token_types::ID_TOKEN]),
            ("requested_token_type", &[token_types::ACCESS_TOKEN]),
        ],
    );
    assert!(!request.contains("authorization: "), "no client names itself here");
    every_lie_is_caught(ANSWER, async |base| {
        let mut provider = super::super::client::tests::provider(fixed(base));
        provider.on_behalf_of = behalf(Delegation::TokenExchange);
        oauth.on_behalf_of(&provider, Proofs::default(), &of(&alice), &scopes(), &More::default()).await
    })
    .await;
}

#[test]
fn what_was_issued_is_what_was_asked_for() {
    let access = Some(token_types::ACCESS_TOKEN);
    for (requested, issued, right) in [
        (None, None, true),
        (None, access, true),
        (None, Some(token_types::JWT), true),
        (None, Some(token_types::REFRESH_TOKEN), false),
        (None, Some(token_types::ID_TOKEN), false),
        (access, None, true),
        (access, access, true),
        (access, Some(token_types::JWT), false),
        (Some(token_types::ID_JAG), None, false),
        (Some(token_types::ID_JAG), access, false),
        (Some(token_types::ID_JAG), Some(token_types::ID_JAG), true),
    ] {
        assert_eq!(check_issued(requested, issued).is_ok(), right, "{requested:?} {issued:?}");
    }
}

#[tokio::test]
async fn microsoft_takes_the_token_as_an_assertion() {
    let upstream = answering(r#"{"access_token":"graph","token_type":"Bearer","expires_in":3599}"#).await;
    let (oauth, _) = oauth();
    let microsoft = Vendor::parse("MicrosoftOauth2").unwrap();
    let input = VendorInput {
        name: "entra".parse().unwrap(),
        client_id: "app".into(),
        client_authentication: microsoft.with_secret(secret("shh")),
        tenant: None,
        endpoints: Some(fixed(&upstream.url(""))),
        scopes: Scopes::default(),
        hosts: None,
    };
    let provider = microsoft.provider(input).unwrap();
    let alice = secret("alice's");
    let wanted = Scopes::parse(["https://graph.microsoft.com/user.read"]).unwrap();
    oauth.on_behalf_of(&provider, Proofs::default(), &of(&alice), &wanted, &More::default()).await.unwrap();
    form_is(
        &upstream.requests()[0],
        &[
            ("grant_type", &[JWT_BEARER]),
            ("assertion", &["alice's"]),
            ("requested_token_use", &["on_behalf_of"]),
            ("scope", &["https://graph.microsoft.com/user.read"]),
            ("client_id", &["app"]),
            ("client_secret", &["shh"]),
        ],
    );
    let agent = secret("agent's");
    let exchange = Exchange { actor: Some((&agent, token_types::JWT)), ..of(&alice) };
    let outcome = oauth.on_behalf_of(&provider, Proofs::default(), &exchange, &wanted, &More::default()).await;
    assert!(matches!(outcome, Err(OAuthError::Configuration(why)) if why.contains("names no actor")));
}

const JAG: &str = r#"{"access_token":"jag","token_type":"N_A","expires_in":300,
    "issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}"#;

#[tokio::test]
async fn an_identity_assertion_is_obtained_at_one_server_and_redeemed_at_the_other() {
    let (issuer, resource) = (answering(JAG).await, answering(ANSWER).await);
    let (oauth, _) = oauth();
    let mut okta = provider(fixed(&issuer.url("")));
    okta.client_id = "at-okta".into();
    okta.client_authentication = ClientAuthentication::Post(secret("okta-secret"));
    let mut chat = provider(fixed(&resource.url("")));
    chat.client_authentication = ClientAuthentication::Post(secret("chat-secret"));
    chat.client_id = "at-chat".into();
    chat.resource = vec!["https://chat.example/api".into()];
    chat.on_behalf_of = behalf(Delegation::IdJag { identity_provider: Arc::new(okta), audience: None });
    chat.on_behalf_of.as_mut().unwrap().subject_token_type = token_types::ID_TOKEN.into();
    let alice = secret("alice's id token");
    let ask = async |chat: &Provider| {
        oauth.on_behalf_of(chat, Proofs::default(), &of(&alice), &scopes(), &More::default()).await
    };
    let outcome = ask(&chat).await;
    assert!(matches!(outcome, Err(OAuthError::Configuration(why)) if why.contains("no issuer")));

    server(&mut chat.endpoints).issuer = Some(Issuer::parse("https://chat.example").unwrap());
    assert_eq!(ask(&chat).await.unwrap().access.expose(), b"for-alice");
    form_is(
        &issuer.requests()[0],
        &[
            ("grant_type", &[TOKEN_EXCHANGE]),
            ("subject_token", &["alice's id token"]),
            ("subject_token_type", &[token_types::ID_TOKEN]),
            ("requested_token_type", &[token_types::ID_JAG]),
            ("audience", &["https://chat.example"]),
            ("resource", &["https://chat.example/api"]),
            ("scope", &["a b"]),
            ("client_id", &["at-okta"]),
            ("client_secret", &["okta-secret"]),
        ],
    );
    let redeemed = form(&resource.requests()[0]);
    assert_eq!(redeemed["grant_type"], [JWT_BEARER]);
    assert_eq!(redeemed["assertion"], ["jag"]);
    assert_eq!(redeemed["client_id"], ["at-chat"]);
    assert!(!resource.requests()[0].contains("id+token"), "the user's token stays between the user's provider and us");

    // An issuer that answers with an access token, or says nothing of what it made.
    for lie in [
        ANSWER,
        r#"{"access_token":"jag","token_type":"N_A"}"#,
        r#"{"access_token":"jag","token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}"#,
    ] {
        let liar = answering(lie).await;
        let identity_provider = Arc::new(provider(fixed(&liar.url(""))));
        chat.on_behalf_of = behalf(Delegation::IdJag { identity_provider, audience: Some("x".into()) });
        assert!(matches!(ask(&chat).await, Err(OAuthError::Unreadable(_))), "{lie}");
    }
    assert_eq!(resource.connections(), 1);
}

#[tokio::test]
async fn nothing_is_sent_for_a_token_that_passed_too_many_hands() {
    let upstream = answering(ANSWER).await;
    let (oauth, _) = oauth();
    let mut provider = provider(fixed(&upstream.url("")));
    let alice = secret("alice's");
    let ask = async |provider: &Provider, token: &Secret| {
        oauth.on_behalf_of(provider, Proofs::default(), &of(token), &scopes(), &More::default()).await.err().unwrap()
    };
    let error = ask(&provider, &alice).await;
    assert!(matches!(error, OAuthError::Configuration(why) if why.contains("add `on_behalf_of`")));
    provider.on_behalf_of = behalf(Delegation::TokenExchange);
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let claims = format!("{{{}{}}}", r#""act":{"#.repeat(11), "}".repeat(11));
    let worn = secret(&format!("{}.{}.sig", encode(r#"{"alg":"ES256"}"#), encode(&claims)));
    assert!(matches!(ask(&provider, &worn).await, OAuthError::Asked(why) if why.contains("more than 10 actors")));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_token_that_is_no_longer_honoured_is_told_apart() {
    let refused = |error: &'static str| {
        Upstream::answering(move |_| {
            response("400 Bad Request", "", format!(r#"{{"error":"{error}","error_description":"about alice's"}}"#))
        })
    };
    let (oauth, _) = oauth();
    let alice = secret("alice's");
    for (error, gone) in [("invalid_grant", true), ("invalid_target", false), ("invalid_request", false)] {
        let upstream = refused(error).await;
        let mut provider = provider(fixed(&upstream.url("")));
        provider.on_behalf_of = behalf(Delegation::TokenExchange);
        let outcome =
            oauth.on_behalf_of(&provider, Proofs::default(), &of(&alice), &scopes(), &More::default()).await.err();
        match outcome.unwrap() {
            OAuthError::GrantGone => assert!(gone),
            OAuthError::Refused { description, .. } => assert!(!gone && description.contains("withheld")),
            other => panic!("{other}"),
        }
    }
}
