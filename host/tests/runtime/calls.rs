//! What a guest asks of its host.

use crate::bed::{Bed, full, get, text};
use crate::guests::guest;
use attache::runtime::InvokeError;
use http::Request;

#[tokio::test]
async fn a_guest_learns_whom_it_serves() {
    let digest = attache::ids::Digest::of(b"probe");
    let who = format!("spiffe://example.org/agent/probe probe {digest}\nalice at https://idp.example\n");
    assert_eq!(Bed::patient().text("/whoami?claim=locale").await, format!("{who}\"de\""));
    assert_eq!(Bed::patient().text("/whoami?claim=email").await, format!("{who}none"));
}

#[tokio::test]
async fn inbound_credentials_are_invisible() {
    let request = Request::get("https://agents.example/echo-headers")
        .header("authorization", "Bearer user-token")
        .header("cookie", "session=1")
        .header("proxy-authorization", "Basic x")
        .header("x-api-key", "k")
        .header("host", "agents.example")
        .header("accept-language", "de")
        .body(full(""))
        .unwrap();
    let seen = text(Bed::patient().invoke(request).await.unwrap()).await;
    assert_eq!(seen, "accept-language=de\nauthority=agents.example");
}

#[tokio::test]
async fn a_request_without_an_authority_is_served() {
    assert_eq!(Bed::patient().text("/echo-headers").await, "authority=localhost");
}

#[tokio::test]
async fn a_guest_cannot_set_headers_that_only_the_host_sets() {
    for name in ["authorization", "Authorization", "cookie", "set-cookie", "host", "connection", "proxy-authorization"]
    {
        let tried = Bed::patient().text(&format!("/set-header?name={name}")).await;
        assert_eq!(tried.matches("HeaderError::Forbidden").count(), 3, "{name}: {tried}");
    }
    let tried = Bed::patient().text("/set-header?name=x-own").await;
    assert_eq!(tried, "Ok(()) Ok(()) Ok(())");
}

#[tokio::test]
async fn nothing_of_the_machine_is_visible() {
    let seen = Bed::patient().text("/environment").await;
    assert_eq!(seen, "variables=0 arguments=0 typed=0 root=false file=false");
}

#[tokio::test]
async fn a_credential_is_a_handle_with_facts() {
    let bed = Bed::patient();
    assert_eq!(bed.text("/acquire?provider=facts&scope=x&scope=y").await, "facts a,b Some(9)");
    assert!(bed.broker.heard("acquire facts UserFederation x,y"));
    bed.text("/acquire?provider=facts&flow=machine").await;
    assert!(bed.broker.heard("acquire facts MachineToMachine "));
    bed.text("/acquire?provider=facts&flow=behalf").await;
    assert!(bed.broker.heard("acquire facts OnBehalfOf "));
    bed.text("/acquire?provider=facts&flow=api-key").await;
    assert!(bed.broker.heard("acquire facts api key"));
    assert!(bed.broker.heard(&format!("release {}", "07".repeat(16))));
}

#[tokio::test]
async fn what_a_guest_wishes_besides_reaches_the_broker_as_it_is() {
    let bed = Bed::patient();
    let wishes = "resource=urn:a&resource=urn:b&audience=c&parameter=prompt:login&parameter=x:&force=yes&state=s%20t";
    bed.text(&format!("/acquire?provider=facts&flow=machine&scope=x&{wishes}")).await;
    let heard = "at urn:a,urn:b for c with [(\"prompt\", \"login\"), (\"x\", \"\")] forced true state s t";
    assert!(bed.broker.heard(&format!("acquire facts MachineToMachine x {heard}")));
}

#[tokio::test]
async fn every_refusal_reaches_the_guest_as_its_own_error() {
    let cases = [
        ("denied", "Error::Denied(\"denied\")"),
        ("insufficient", "Error::InsufficientScopes([\"insufficient\"])"),
        ("not-configured", "Error::NotConfigured(\"not-configured\")"),
        ("provider-refused", "Error::ProviderRefused(\"provider-refused\")"),
        ("sign-in", "Error::SignInRequired(\"sign-in\")"),
        ("unavailable", "Error::Unavailable(\"unavailable\")"),
        ("invalid-request", "Error::InvalidRequest(\"invalid-request\")"),
        ("not-bound", "Error::Unavailable(\"this invocation has ended\")"),
    ];
    for (provider, error) in cases {
        assert_eq!(Bed::patient().text(&format!("/acquire?provider={provider}")).await, error);
    }
    let consent = Bed::patient().text("/acquire?provider=consent").await;
    for part in
        ["ConsentRequired", "https://host.example/consent/1", "urn:ietf:params:oauth:request_uri:1", "expires-at: 7"]
    {
        assert!(consent.contains(part), "{consent}");
    }
}

#[tokio::test]
async fn a_request_with_a_credential_goes_to_the_broker_and_comes_back_filtered() {
    let bed = Bed::patient();
    let sent = bed.text("/send?provider=calendar&url=https://with.example/a%3Fb=c").await;
    assert_eq!(sent, "201 x-kept whole\ngot ");
    assert!(bed.broker.heard("send GET https://with.example/a?b=c with credential"));
    assert!(bed.broker.heard("headers of https://with.example/a?b=c: "), "the host adds none of its own here");
}

#[tokio::test]
async fn a_plain_request_never_carries_a_credential() {
    let bed = Bed::patient();
    assert_eq!(bed.text("/get?url=https://plain.example/").await, "201 x-kept whole\ngot ");
    assert!(bed.broker.heard("send GET https://plain.example/ without credential"));
    assert!(!bed.broker.heard("send GET https://plain.example/ with credential"));
}

#[tokio::test]
async fn a_destination_that_is_refused_at_once_is_a_typed_error() {
    let sent = Bed::patient().text("/send?provider=calendar&url=https://denied.example/").await;
    assert_eq!(sent, "send: Error::Denied(\"`denied.example` is not bound to this agent\")");
}

#[tokio::test]
async fn a_destination_that_is_refused_later_is_an_error_of_the_response() {
    let sent = Bed::patient().text("/send?provider=calendar&url=https://late.denied.example/").await;
    assert_eq!(sent, "response: ErrorCode::HttpRequestDenied");
    let plain = Bed::patient().text("/get?url=https://denied.example/").await;
    assert_eq!(plain, "response: ErrorCode::HttpRequestDenied");
}

#[tokio::test]
async fn a_malformed_request_is_an_error_and_no_fault() {
    let sent = Bed::patient().text("/send?provider=calendar&url=odd://with.example/").await;
    assert_eq!(sent, "send: Error::InvalidRequest(\"it cannot be sent: `ErrorCode::HttpProtocolError`\")");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_broken_for_the_guest() {
    let sent = Bed::patient().text("/get?url=https://broken.example/").await;
    assert_eq!(sent, "200  broken\nsome");
}

#[tokio::test]
async fn bytes_of_a_credential_need_an_import_and_a_grant() {
    let bed = Bed::patient();
    let loaded = bed.engine.load(&guest("reveal-probe")).unwrap();
    assert!(loaded.wants_reveal());
    assert!(!bed.probe().wants_reveal());
    let refused = bed.invoke_loaded(&loaded, false, get("/")).await;
    assert_eq!(refused.map(drop), Err(InvokeError::RevealNotGranted));
    let granted = bed.invoke_loaded(&loaded, true, get("/")).await.unwrap();
    assert_eq!(text(granted).await, "the-token");
}
