//! The API of AgentCore's clients, request by request: signed for real, over the whole router.

use super::{Reply, World, reply};
use crate::access::testing::sign;
use crate::audit::Decision;
use crate::http::access::calls;
use crate::http::agentcore;
use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// An access key, in hand.
pub(super) struct Key {
    id: String,
    secret: String,
}

impl World {
    pub(super) async fn key(&self, rights: &[&str], workloads: &[&str]) -> Key {
        let body = json!({ "name": "test", "operations": rights, "workloads": workloads }).to_string();
        let made = self.as_operator("POST", "/v1/keys", body).await.json();
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        Key { id: text("access_key_id"), secret: text("secret_access_key") }
    }

    /// A signed call with a JSON body.
    pub(super) async fn call(&self, key: &Key, path: &str, body: Value) -> Reply {
        self.signed(key, Request::post(path).header("content-type", "application/json"), &body.to_string()).await
    }

    pub(super) async fn signed(&self, key: &Key, request: http::request::Builder, body: &str) -> Reply {
        let request = request.header("host", "agents.example.com").body(()).unwrap();
        let head = sign(request, body.as_bytes(), &key.id, &key.secret, "eu-north-1", self.clock.now());
        // One request is signed once: a second of the same moment would be the same signature.
        self.clock.advance(Duration::from_secs(1));
        reply(self.public.clone(), Request::from_parts(head, Body::from(body.to_owned()))).await
    }
}

pub(super) fn refused(reply: &Reply, status: u16, exception: &str) -> Value {
    let seen = format!("{} {:?} {}", reply.status, reply.headers, reply.body);
    assert_eq!(reply.status.as_u16(), status, "{seen}");
    assert_eq!(reply.headers["x-amzn-errortype"], exception, "{seen}");
    assert!(reply.headers.contains_key("x-amzn-requestid"), "{seen}");
    let body = reply.json();
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{seen}");
    body
}

pub(super) fn done(reply: &Reply, status: u16) -> Value {
    assert_eq!(reply.status.as_u16(), status, "{:?} {}", reply.headers, reply.body);
    assert!(reply.headers.contains_key("x-amzn-requestid"));
    if reply.body.is_empty() { Value::Null } else { reply.json() }
}

const WORKLOADS: &str = r#"
[workloads."batch-*"]
providers = [{ name = "google", scopes = ["calendar.read"] }]
authorizer = "default"
allowed_return_urls = ["https://app.example.com/consented"]
[workloads.trusted]
providers = [{ name = "google", scopes = ["calendar.read"] }]
trust_user_ids = true
"#;

#[tokio::test]
async fn a_workload_identity_is_made_changed_paged_and_deleted() {
    let world = World::start().await;
    let key = world.key(&["*"], &["*"]).await;
    let made = world
        .call(
            &key,
            "/identities/CreateWorkloadIdentity",
            json!({ "name": "Batch.eu", "allowedResourceOauth2ReturnUrls": ["https://a.example/x"], "tags": { "team": "a" } }),
        )
        .await;
    let made = done(&made, 201);
    let arn = "arn:aws:bedrock-agentcore:eu-north-1:000000000000:workload-identity-directory/default/workload-identity/Batch.eu";
    assert_eq!(
        made,
        json!({ "name": "Batch.eu", "workloadIdentityArn": arn, "allowedResourceOauth2ReturnUrls": ["https://a.example/x"] })
    );
    let again = world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": "Batch.eu" })).await;
    refused(&again, 409, "ConflictException");
    let alike = world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": "batch.EU" })).await;
    refused(&alike, 409, "ConflictException");

    let found = done(&world.call(&key, "/identities/GetWorkloadIdentity", json!({ "name": "Batch.eu" })).await, 200);
    let now = world.clock.now().secs() as f64;
    assert!((found["createdTime"].as_f64().unwrap() - now).abs() < 60.0, "{found}");
    let changed = json!({ "name": "Batch.eu", "allowedResourceOauth2ReturnUrls": ["https://b.example/y"] });
    let changed = done(&world.call(&key, "/identities/UpdateWorkloadIdentity", changed).await, 200);
    assert_eq!(changed["allowedResourceOauth2ReturnUrls"], json!(["https://b.example/y"]));

    for n in 0..24 {
        let name = format!("w-{n:02}");
        done(&world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": name })).await, 201);
    }
    let (mut names, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut body = json!({ "maxResults": 7 });
        if let Some(token) = &token {
            body["nextToken"] = json!(token);
        }
        let page = done(&world.call(&key, "/identities/ListWorkloadIdentities", body).await, 200);
        names.extend(page["workloadIdentities"].as_array().unwrap().iter().map(|one| one["name"].clone()));
        match page["nextToken"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(names.len(), 26, "25 that were made, and `calendar`: {names:?}");
    let bad = json!({ "nextToken": "!" });
    refused(&world.call(&key, "/identities/ListWorkloadIdentities", bad).await, 400, "ValidationException");

    assert!(
        done(&world.call(&key, "/identities/DeleteWorkloadIdentity", json!({ "name": "Batch.eu" })).await, 204)
            .is_null()
    );
    refused(
        &world.call(&key, "/identities/GetWorkloadIdentity", json!({ "name": "Batch.eu" })).await,
        404,
        "ResourceNotFoundException",
    );
    // What runs here is not deleted so.
    let here = world.call(&key, "/identities/DeleteWorkloadIdentity", json!({ "name": "calendar" })).await;
    refused(&here, 403, "AccessDeniedException");
    for code in ["workload.create", "workload.update", "workload.delete"] {
        let trail = world.trail(code).await;
        assert!(
            trail.iter().all(|entry| entry.record.actor.caller.as_deref() == Some(&*format!("key:{}", key.id))),
            "{trail:?}"
        );
    }
}

#[tokio::test]
async fn each_mint_proves_what_it_says() {
    let world = World::start_with(WORKLOADS).await;
    let key = world.key(&["*"], &["*"]).await;
    for name in ["batch-1", "trusted", "other"] {
        done(&world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": name })).await, 201);
    }
    let mint = "/identities/GetWorkloadAccessToken";
    let token = done(&world.call(&key, mint, json!({ "workloadName": "batch-1" })).await, 200);
    assert!(token["workloadAccessToken"].as_str().unwrap().starts_with("wat_"));
    // An agent that runs here mints nothing, in words that clients know.
    let linked =
        refused(&world.call(&key, mint, json!({ "workloadName": "calendar" })).await, 403, "AccessDeniedException");
    assert!(
        linked["message"]
            .as_str()
            .unwrap()
            .starts_with("WorkloadIdentity is linked to a service and cannot retrieve an access token by the caller"),
        "{linked}"
    );
    refused(&world.call(&key, mint, json!({ "workloadName": "nobody" })).await, 404, "ResourceNotFoundException");

    let for_jwt = "/identities/GetWorkloadAccessTokenForJWT";
    let jwt = world.issuer.token("alice", "attache", world.clock.now());
    let body = |name: &str, jwt: &str| json!({ "workloadName": name, "userToken": jwt });
    let minted = done(&world.call(&key, for_jwt, body("batch-1", &jwt)).await, 200);
    let elsewhere = world.issuer.token("alice", "another-app", world.clock.now());
    refused(&world.call(&key, for_jwt, body("batch-1", &elsewhere)).await, 403, "AccessDeniedException");
    let mut forged = jwt.clone();
    forged.replace_range(jwt.len() - 6..jwt.len() - 4, "AA");
    refused(&world.call(&key, for_jwt, body("batch-1", &forged)).await, 403, "AccessDeniedException");
    // Nobody said whose users `other` may act for.
    let none = refused(&world.call(&key, for_jwt, body("other", &jwt)).await, 403, "AccessDeniedException");
    assert!(none["message"].as_str().unwrap().contains("authorizer"), "{none}");
    world.clock.advance(Duration::from_secs(3700));
    refused(&world.call(&key, for_jwt, body("batch-1", &jwt)).await, 403, "AccessDeniedException");

    let for_id = "/identities/GetWorkloadAccessTokenForUserId";
    let id = |name: &str| json!({ "workloadName": name, "userId": "alice" });
    refused(&world.call(&key, for_id, id("batch-1")).await, 403, "AccessDeniedException");
    let asserted = done(&world.call(&key, for_id, id("trusted")).await, 200);

    let look = "/identities/IntrospectWorkloadAccessToken";
    let what = |token: &Value| json!({ "workloadIdentityToken": token["workloadAccessToken"] });
    let seen = done(&world.call(&key, look, what(&asserted)).await, 200);
    assert_eq!((&seen["active"], &seen["workloadName"]), (&json!(true), &json!("trusted")));
    assert_eq!(seen["userIssuer"], "urn:attache:asserted:trusted");
    assert_eq!(
        done(&world.call(&key, look, what(&minted)).await, 200),
        json!({ "active": false }),
        "an hour has passed"
    );
    assert!(done(&world.call(&key, "/identities/RevokeWorkloadAccessToken", what(&asserted)).await, 204).is_null());
    assert_eq!(done(&world.call(&key, look, what(&asserted)).await, 200), json!({ "active": false }));

    let trail = world.trail("wat.mint").await;
    let allowed = trail.iter().filter(|entry| entry.record.outcome.as_ref().unwrap().decision == Decision::Allowed);
    assert_eq!(allowed.count(), 3);
    let of_alice = trail.iter().filter(|entry| entry.record.actor.user.is_some());
    assert_eq!(of_alice.count(), 2, "the user stands in the record of each mint that has one");
    assert!(!format!("{trail:?}").contains("wat_"), "no token stands in the trail");
}

#[tokio::test]
async fn a_token_is_released_after_the_user_agreed_and_the_app_said_who_was_there() {
    let world = World::start_with(WORKLOADS).await;
    let key = world.key(&["*"], &["*"]).await;
    done(&world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": "batch-1" })).await, 201);
    let jwt = world.issuer.token("alice", "attache", world.clock.now());
    let body = json!({ "workloadName": "batch-1", "userToken": jwt });
    let wat = done(&world.call(&key, "/identities/GetWorkloadAccessTokenForJWT", body).await, 200);
    let wat = wat["workloadAccessToken"].clone();
    let ask = |more: Value| {
        let mut body = json!({
            "workloadIdentityToken": wat,
            "resourceCredentialProviderName": "google",
            "scopes": ["calendar.read"],
            "oauth2Flow": "USER_FEDERATION",
            "resourceOauth2ReturnUrl": super::RETURN_URL,
            "customState": "state-of-the-app",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let place = "/identities/oauth2/token";
    // Not on the list; beyond the binding; no such provider.
    let url = json!({ "resourceOauth2ReturnUrl": "https://evil.example/" });
    assert!(world.call(&key, place, ask(url)).await.status.is_client_error());
    refused(&world.call(&key, place, ask(json!({ "scopes": ["drive"] }))).await, 403, "AccessDeniedException");
    let unknown = json!({ "resourceCredentialProviderName": "goggle" });
    refused(&world.call(&key, place, ask(unknown)).await, 403, "AccessDeniedException");

    let started = done(&world.call(&key, place, ask(json!({}))).await, 200);
    assert_eq!(started["sessionStatus"], "IN_PROGRESS");
    let link = started["authorizationUrl"].as_str().unwrap();
    let poll = json!({ "sessionUri": started["sessionUri"] });
    let waiting = done(&world.call(&key, place, ask(poll.clone())).await, 200);
    assert_eq!(waiting, json!({ "sessionUri": started["sessionUri"], "sessionStatus": "IN_PROGRESS" }));

    let mut browser = super::Browser::default();
    let away = browser.get(&world, super::path(link)).await;
    let code = world.issuer.code("alice", "");
    let back = browser.callback(&world, "/oauth2/callback/google", &away.asked("state"), &code);
    let landed = browser.get(&world, &back).await;
    assert!(landed.location().starts_with(super::RETURN_URL), "{} {}", landed.status, landed.body);
    assert_eq!(landed.asked("state"), "state-of-the-app");
    let session = landed.asked("session_id");

    let complete = |uri: &str, jwt: &str| json!({ "sessionUri": uri, "userIdentifier": { "userToken": jwt } });
    let completion = "/identities/CompleteResourceTokenAuth";
    // The URI that the agent was given does not complete: only the one that came back with the browser.
    let early = world.call(&key, completion, complete(started["sessionUri"].as_str().unwrap(), &jwt)).await;
    refused(&early, 403, "AccessDeniedException");
    // Another token of the same user will do.
    world.clock.advance(Duration::from_secs(30));
    let refreshed = world.issuer.token("alice", "attache", world.clock.now());
    assert_ne!(refreshed, jwt);
    assert_eq!(done(&world.call(&key, completion, complete(&session, &refreshed)).await, 200), json!({}));
    refused(&world.call(&key, completion, complete(&session, &refreshed)).await, 403, "AccessDeniedException");

    let token = done(&world.call(&key, place, ask(poll)).await, 200);
    assert_eq!(token["accessToken"], "token-of-alice");
    assert_eq!((&token["tokenType"], &token["scopes"]), (&json!("Bearer"), &json!(["calendar.read"])));
    assert!(token["expiresAt"].as_f64().unwrap() > world.clock.now().secs() as f64);
    let revealed = world.trail("credential.reveal").await;
    let last = &revealed[0].record;
    assert_eq!(last.actor.user.as_ref().unwrap().subject.as_str(), "alice");
    assert!(serde_json::to_string(&revealed[0]).unwrap().contains(&format!("key:{}", key.id)), "{last:?}");

    let grants = done(&world.call(&key, "/identities/ListGrants", json!({ "workloadName": "batch-1" })).await, 200);
    let grant = grants["grants"][0]["grantId"].clone();
    assert_eq!(grants["grants"].as_array().unwrap().len(), 1);
    done(&world.call(&key, "/identities/RevokeGrant", json!({ "grantId": grant })).await, 200);
    let again = done(&world.call(&key, place, ask(json!({}))).await, 200);
    assert!(again["accessToken"].is_null() && again["authorizationUrl"].is_string(), "{again}");
}

#[tokio::test]
async fn mallory_does_not_complete_what_alice_began() {
    let world = World::start_with(WORKLOADS).await;
    let key = world.key(&["*"], &["*"]).await;
    done(&world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": "batch-1" })).await, 201);
    let jwt = world.issuer.token("alice", "attache", world.clock.now());
    let body = json!({ "workloadName": "batch-1", "userToken": jwt });
    let wat = done(&world.call(&key, "/identities/GetWorkloadAccessTokenForJWT", body).await, 200);
    let ask = json!({
        "workloadIdentityToken": wat["workloadAccessToken"],
        "resourceCredentialProviderName": "google",
        "scopes": ["calendar.read"],
        "oauth2Flow": "USER_FEDERATION",
        "resourceOauth2ReturnUrl": super::RETURN_URL,
    });
    let started = done(&world.call(&key, "/identities/oauth2/token", ask.clone()).await, 200);
    let mut browser = super::Browser::default();
    let away = browser.get(&world, super::path(started["authorizationUrl"].as_str().unwrap())).await;
    let code = world.issuer.code("mallory", "");
    let back = browser.callback(&world, "/oauth2/callback/google", &away.asked("state"), &code);
    let session = browser.get(&world, &back).await.asked("session_id");
    let theirs = world.issuer.token("mallory", "attache", world.clock.now());
    let body = json!({ "sessionUri": session, "userIdentifier": { "userToken": theirs } });
    refused(&world.call(&key, "/identities/CompleteResourceTokenAuth", body).await, 403, "AccessDeniedException");
    assert!(world.host.vault.grants().is_empty());
    let mut poll = ask;
    poll["sessionUri"] = started["sessionUri"].clone();
    let answer = done(&world.call(&key, "/identities/oauth2/token", poll).await, 200);
    assert_eq!(answer["sessionStatus"], "FAILED");
}

#[tokio::test]
async fn providers_are_made_told_without_secrets_and_deleted() {
    let world = World::start_with("[workloads.any-one]\nany_provider = true\n").await;
    let key = world.key(&["*"], &["*"]).await;
    let idp = &world.issuer.url;
    let made = world
        .call(
            &key,
            "/identities/CreateOauth2CredentialProvider",
            json!({
                "name": "made",
                "credentialProviderVendor": "CustomOauth2",
                "oauth2ProviderConfigInput": { "customOauth2ProviderConfig": {
                    "oauthDiscovery": { "discoveryUrl": format!("{idp}/.well-known/openid-configuration") },
                    "clientId": "host",
                    "clientSecret": "client-secret-of-ours",
                } },
                "tags": { "team": "a" },
            }),
        )
        .await;
    let made = done(&made, 201);
    assert_eq!(made["callbackUrl"], "https://agents.example.com/oauth2/callback/made");
    assert_eq!(made["status"], "READY");
    let arn = made["credentialProviderArn"].as_str().unwrap().to_owned();
    assert_eq!(
        arn,
        "arn:aws:bedrock-agentcore:eu-north-1:000000000000:token-vault/default/oauth2credentialprovider/made"
    );
    let half = json!({
        "name": "half",
        "credentialProviderVendor": "MicrosoftOauth2",
        "oauth2ProviderConfigInput": { "googleOauth2ProviderConfig": { "clientId": "x", "clientSecret": "y" } },
    });
    let half = refused(
        &world.call(&key, "/identities/CreateOauth2CredentialProvider", half).await,
        400,
        "ValidationException",
    );
    assert_eq!(half["fieldList"][0]["name"], "oauth2ProviderConfigInput");

    let place = |name: &str| format!("/tags/{}", name.replace(':', "%3A").replace('/', "%2F"));
    let told = done(&world.signed(&key, Request::get(place(&arn)), "").await, 200);
    assert_eq!(told, json!({ "tags": { "team": "a" } }));
    let tagged = world.signed(&key, Request::post(place(&arn)), r#"{"tags":{"cost":"7"}}"#).await;
    assert!(done(&tagged, 204).is_null());
    let untagged = Request::delete(format!("{}?tagKeys=team", place(&arn)));
    assert!(done(&world.signed(&key, untagged, "").await, 204).is_null());
    assert_eq!(done(&world.signed(&key, Request::get(place(&arn)), "").await, 200), json!({ "tags": { "cost": "7" } }));

    let api_key = json!({ "name": "weather", "apiKey": "key-of-ours" });
    done(&world.call(&key, "/identities/CreateApiKeyCredentialProvider", api_key.clone()).await, 201);
    refused(&world.call(&key, "/identities/CreateApiKeyCredentialProvider", api_key).await, 409, "ConflictException");
    for path in [
        "/identities/GetOauth2CredentialProvider",
        "/identities/GetApiKeyCredentialProvider",
        "/identities/ListOauth2CredentialProviders",
        "/identities/ListApiKeyCredentialProviders",
    ] {
        let name = if path.contains("ApiKey") { "weather" } else { "made" };
        let found = world.call(&key, path, json!({ "name": name })).await;
        assert_eq!(found.status, StatusCode::OK, "{path}: {}", found.body);
        assert!(found.body.contains(&format!("\"{name}\"")), "{path}: {}", found.body);
        assert!(!found.body.contains("of-ours"), "{path}: {}", found.body);
    }
    // A workload that may use any provider gets the key, and the new one once it is changed.
    done(&world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": "any-one" })).await, 201);
    let wat =
        done(&world.call(&key, "/identities/GetWorkloadAccessToken", json!({ "workloadName": "any-one" })).await, 200);
    let ask = json!({
        "workloadIdentityToken": wat["workloadAccessToken"],
        "resourceCredentialProviderName": "weather",
    });
    assert_eq!(
        done(&world.call(&key, "/identities/api-key", ask.clone()).await, 200),
        json!({ "apiKey": "key-of-ours" })
    );
    let changed = json!({ "name": "weather", "apiKey": "another-key-of-ours" });
    done(&world.call(&key, "/identities/UpdateApiKeyCredentialProvider", changed).await, 200);
    assert_eq!(
        done(&world.call(&key, "/identities/api-key", ask).await, 200),
        json!({ "apiKey": "another-key-of-ours" })
    );

    let configured = json!({ "name": "google" });
    let kept = world.call(&key, "/identities/DeleteOauth2CredentialProvider", configured).await;
    refused(&kept, 403, "AccessDeniedException");
    assert!(
        done(&world.call(&key, "/identities/DeleteOauth2CredentialProvider", json!({ "name": "made" })).await, 204)
            .is_null()
    );
    refused(
        &world.call(&key, "/identities/GetOauth2CredentialProvider", json!({ "name": "made" })).await,
        404,
        "ResourceNotFoundException",
    );
    let trail: Vec<String> = world.trail("provider.create").await.iter().map(|entry| format!("{entry:?}")).collect();
    assert!(!trail.is_empty() && trail.iter().all(|entry| !entry.contains("of-ours")), "{trail:?}");
}

#[tokio::test]
async fn what_does_not_fit_is_named_field_by_field() {
    let world = World::start().await;
    let key = world.key(&["*"], &["*"]).await;
    let long = world.call(&key, "/identities/GetWorkloadAccessToken", json!({ "workloadName": "a".repeat(256) })).await;
    let long = refused(&long, 400, "ValidationException");
    assert_eq!(long["reason"], "FieldValidationFailed");
    assert_eq!(long["fieldList"], json!([{ "name": "workloadName", "message": "must have 3 to 255 characters" }]));
    let several =
        world.call(&key, "/identities/oauth2/token", json!({ "scopes": ["", "x"], "oauth2Flow": "CODE" })).await;
    let several = refused(&several, 400, "ValidationException");
    let names: Vec<&str> =
        several["fieldList"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["workloadIdentityToken", "resourceCredentialProviderName", "scopes.0", "oauth2Flow"]);
    let post = || Request::post("/identities/GetWorkloadIdentity");
    for (body, says) in [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        (r#"{"name":"abc","name":"def"}"#, "`name` appears twice"),
        (r#"{"name":"abc","x":{"y":1,"y":2}}"#, "`y` appears twice"),
    ] {
        let unreadable = refused(&world.signed(&key, post(), body).await, 400, "ValidationException");
        assert_eq!(unreadable["reason"], "CannotParse");
        assert!(unreadable["message"].as_str().unwrap().contains(says), "{unreadable}");
    }
    // A newer client's member is nobody's mistake.
    let newer = json!({ "name": "calendar", "fromTheFuture": { "x": [1, 2.5, null] } });
    done(&world.call(&key, "/identities/GetWorkloadIdentity", newer).await, 200);
    let large = world.signed(&key, post(), &format!("{{\"name\":\"{}\"}}", "a".repeat(1 << 20))).await;
    refused(&large, 400, "ValidationException");
}

#[tokio::test]
async fn whoever_does_not_sign_rightly_is_let_do_nothing() {
    let world = World::start().await;
    let key = world.key(&["*"], &["*"]).await;
    let other = Key { id: key.id.clone(), secret: "0".repeat(40) };
    let unknown = Key { id: "AKATAAAAAAAAAAAAAAAA".into(), secret: key.secret.clone() };
    for (method, path, operation) in calls() {
        let path = filled(path);
        let request = || Request::builder().method(method).uri(&path);
        let nobody = world.send(request().body(Body::empty()).unwrap()).await;
        // Agents have an authorizer of their own, which says how to come with a token; who signs does not need it.
        refused(&nobody, 403, "MissingAuthenticationTokenException");
        refused(&world.signed(&other, request(), "{}").await, 403, "InvalidSignatureException");
        refused(&world.signed(&unknown, request(), "{}").await, 403, "UnrecognizedClientException");
        let token = world.issuer.token("alice", "attache", world.clock.now());
        let user = world.with_token(&token, method, &path, Body::empty()).await;
        assert!(
            user.status.is_client_error(),
            "{operation}: a user of an agent is no caller: {} {}",
            user.status,
            user.body
        );
    }
    assert!(world.trail("caller.reject").await.len() >= 50, "who was not let in stands in the trail");
}

/// With something in the place of each parameter.
fn filled(path: &str) -> String {
    path.replace("{agentRuntimeArn}", "nowhere")
        .replace("{resourceArn}", "arn%3Aaws%3Abedrock-agentcore%3Aeu-north-1%3A000000000000%3Aruntime%2Fcalendar")
}

#[tokio::test]
async fn a_right_to_one_thing_is_a_right_to_nothing_else() {
    let world = World::start().await;
    for (method, path, operation) in calls() {
        let others: Vec<&str> =
            calls().map(|(_, _, other)| other.name()).filter(|name| *name != operation.name()).collect();
        let without = world.key(&others[..16], &["*"]).await;
        let also = world.key(&others[16..], &["*"]).await;
        for key in [&without, &also] {
            let reply = world.signed(key, Request::builder().method(method).uri(filled(path)), "{}").await;
            let body = refused(&reply, 403, "AccessDeniedException");
            assert!(body["message"].as_str().unwrap().contains(&format!("may not `{operation}`")), "{body}");
        }
    }
}

#[tokio::test]
async fn a_key_for_one_workload_opens_no_other() {
    let world = World::start_with(WORKLOADS).await;
    let operator = world.key(&["*"], &["*"]).await;
    for name in ["batch-1", "batch-2"] {
        done(&world.call(&operator, "/identities/CreateWorkloadIdentity", json!({ "name": name })).await, 201);
    }
    let one = world.key(&["*"], &["batch-1"]).await;
    let mint = |name: &str| json!({ "workloadName": name });
    done(&world.call(&one, "/identities/GetWorkloadAccessToken", mint("batch-1")).await, 200);
    for (path, body) in [
        ("/identities/GetWorkloadAccessToken", mint("batch-2")),
        ("/identities/GetWorkloadAccessTokenForUserId", json!({ "workloadName": "batch-2", "userId": "alice" })),
        ("/identities/GetWorkloadIdentity", json!({ "name": "batch-2" })),
        ("/identities/UpdateWorkloadIdentity", json!({ "name": "batch-2" })),
        ("/identities/DeleteWorkloadIdentity", json!({ "name": "batch-2" })),
        ("/identities/CreateWorkloadIdentity", json!({ "name": "batch-3" })),
    ] {
        refused(&world.call(&one, path, body).await, 403, "AccessDeniedException");
    }
    // A token of another workload in hand is of no use to this key.
    let wat = done(&world.call(&operator, "/identities/GetWorkloadAccessToken", mint("batch-2")).await, 200);
    let wat = &wat["workloadAccessToken"];
    let ask = json!({
        "workloadIdentityToken": wat,
        "resourceCredentialProviderName": "google",
        "scopes": [],
        "oauth2Flow": "M2M",
    });
    refused(&world.call(&one, "/identities/oauth2/token", ask).await, 403, "AccessDeniedException");
    let look = json!({ "workloadIdentityToken": wat });
    let seen = done(&world.call(&one, "/identities/IntrospectWorkloadAccessToken", look.clone()).await, 200);
    assert_eq!(seen, json!({ "active": false }));
    done(&world.call(&one, "/identities/RevokeWorkloadAccessToken", look.clone()).await, 204);
    let seen = done(&world.call(&operator, "/identities/IntrospectWorkloadAccessToken", look).await, 200);
    assert_eq!(seen["active"], true, "nor ended by it");
    let listed = done(&world.call(&one, "/identities/ListWorkloadIdentities", json!({})).await, 200);
    assert_eq!(listed["workloadIdentities"].as_array().unwrap().len(), 1, "{listed}");
}

#[tokio::test]
async fn what_this_host_does_not_have_is_refused_by_name() {
    let world = World::start().await;
    let key = world.key(&["GetWorkloadIdentity"], &["*"]).await;
    let mut refusals = 0;
    for of in agentcore::elsewhere() {
        let path: String = of.path.replace(['{', '}'], "");
        let nobody = world.send(Request::builder().method(of.method).uri(&path).body(Body::empty()).unwrap()).await;
        refused(&nobody, 403, "MissingAuthenticationTokenException");
        let reply = world.signed(&key, Request::builder().method(of.method).uri(&path), "").await;
        let body = refused(&reply, 400, "ValidationException");
        assert!(body["message"].as_str().unwrap().contains(&format!("`{}` is not offered", of.name)), "{body}");
        refusals += 1;
    }
    assert!(refusals > 200);
}

#[tokio::test]
async fn an_agent_is_called_by_who_signs_or_by_its_users() {
    let world = World::start().await;
    let key = world.key(&["InvokeAgentRuntime", "StopRuntimeSession"], &["*"]).await;
    let place = "/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aeu-north-1%3A000000000000%3Aruntime%2Fcalendar/invocations";
    let session = "s".repeat(33);
    let call = || Request::post(place).header("x-amzn-bedrock-agentcore-runtime-session-id", &session);
    // There is nothing to run here: as far as that it gets.
    refused(&world.signed(&key, call(), "{}").await, 500, "InternalServerException");
    let for_user = call().header("x-amzn-bedrock-agentcore-runtime-user-id", "alice");
    let for_user = refused(&world.signed(&key, for_user, "{}").await, 403, "AccessDeniedException");
    assert!(for_user["message"].as_str().unwrap().contains("InvokeAgentRuntimeForUser"), "{for_user}");
    let both = world.key(&["InvokeAgentRuntime*"], &["*"]).await;
    let for_user = call().header("x-amzn-bedrock-agentcore-runtime-user-id", "alice");
    let untrusted = refused(&world.signed(&both, for_user, "{}").await, 403, "AccessDeniedException");
    assert!(untrusted["message"].as_str().unwrap().contains("unverified id"), "{untrusted}");
    refused(
        &world.signed(&key, Request::post("/runtimes/nowhere/invocations"), "{}").await,
        404,
        "ResourceNotFoundException",
    );
    let short = Request::post(place).header("x-amzn-bedrock-agentcore-runtime-session-id", "short");
    refused(&world.signed(&key, short, "{}").await, 400, "ValidationException");
    let named = Request::post(format!("{place}?qualifier=prod"));
    refused(&world.signed(&key, named, "{}").await, 400, "ValidationException");
    let stop = Request::post(place.replace("invocations", "stopruntimesession"))
        .header("x-amzn-bedrock-agentcore-runtime-session-id", &session);
    refused(&world.signed(&key, stop, "{}").await, 404, "ResourceNotFoundException");

    // A user of the agent's own.
    let token = world.issuer.token("alice", "attache", world.clock.now());
    refused(&world.with_token(&token, "POST", place, "{}").await, 500, "InternalServerException");
    let stranger = world.issuer.token("alice", "another-app", world.clock.now());
    let told = world.with_token(&stranger, "POST", place, "{}").await;
    refused(&told, 401, "UnauthorizedException");
    assert!(told.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn the_document_describes_every_call_and_nothing_else() {
    let world = World::start().await;
    let document = world.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"][0]["url"], "https://agents.example.com");
    let mut described = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            let id = call["operationId"].as_str().unwrap();
            described.push((method.to_uppercase(), path.clone(), id.to_owned()));
            let responses = call["responses"].as_object().unwrap();
            for status in ["400", "401", "403", "404", "500"] {
                assert!(responses.contains_key(status), "{id} {status}");
            }
        }
    }
    let mut served: Vec<_> = calls()
        .map(|(method, path, operation)| (method.to_owned(), path.to_owned(), operation.name().to_owned()))
        .collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    assert!(document["components"]["schemas"]["WorkloadIdentityName"]["maxLength"] == 255);
}
