//! Providers that come and go while the host runs, as the API sees them.

use super::World;
use super::api::{done, refused};
use crate::directory::BoundProvider;
use crate::ids::{AgentName, ProviderName, Scopes};
use serde_json::json;

#[tokio::test]
async fn what_was_bound_to_a_deleted_provider_is_not_bound_to_the_next_of_its_name() {
    let world = World::start().await;
    let key = world.key(&["*"], &["*"]).await;
    let weather = |api_key: &str| json!({ "name": "weather", "apiKey": api_key });
    done(&world.call(&key, "/identities/CreateWorkloadIdentity", json!({ "name": "batch" })).await, 201);
    done(&world.call(&key, "/identities/CreateApiKeyCredentialProvider", weather("first-key")).await, 201);
    let (batch, provider) = (AgentName::parse("batch").unwrap(), ProviderName::parse("weather").unwrap());
    world.host.directory.bind(&batch, BoundProvider { provider, scopes: Scopes::default() }).await.unwrap();

    let mint = json!({ "workloadName": "batch" });
    let wat = done(&world.call(&key, "/identities/GetWorkloadAccessToken", mint).await, 200);
    let ask = json!({
        "workloadIdentityToken": wat["workloadAccessToken"],
        "resourceCredentialProviderName": "weather",
    });
    let given = done(&world.call(&key, "/identities/api-key", ask.clone()).await, 200);
    assert_eq!(given, json!({ "apiKey": "first-key" }));

    done(&world.call(&key, "/identities/DeleteApiKeyCredentialProvider", json!({ "name": "weather" })).await, 204);
    done(&world.call(&key, "/identities/CreateApiKeyCredentialProvider", weather("another-key")).await, 201);
    refused(&world.call(&key, "/identities/api-key", ask).await, 403, "AccessDeniedException");
}
