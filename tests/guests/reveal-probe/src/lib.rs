//! Turns a credential into bytes, where the host lets it, and answers with them. The path names the provider.

mod bindings {
    #![allow(missing_docs, reason = "generated")]
    wit_bindgen::generate!({ path: "../../../wit", world: "attache:identity/revealing-agent", generate_all });
}

use bindings::attache::identity::{credentials, reveal};
use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Probe;
bindings::export!(Probe with_types_in bindings);

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let named = path.trim_start_matches('/');
        let ask = credentials::Oauth2Request {
            provider: if named.is_empty() { "calendar" } else { named }.into(),
            scopes: vec![],
            flow: credentials::Flow::UserFederation,
            resources: Vec::new(),
            audiences: Vec::new(),
            custom_parameters: Vec::new(),
            force_authentication: false,
            custom_state: None,
        };
        let answer = match credentials::oauth2(&ask).and_then(|credential| reveal::bytes(&credential)) {
            Ok(bytes) => bytes,
            Err(error) => format!("{error:?}").into_bytes(),
        };
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        stream.blocking_write_and_flush(&answer).expect("the host reads");
        drop(stream);
        OutgoingBody::finish(body, None).expect("the body is complete");
    }
}
