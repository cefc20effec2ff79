//! What attacks ask of their host on the way.

use crate::bindings::attache::identity::credentials::{self, Credential, Error, Flow, Oauth2Request};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{Fields, FutureIncomingResponse, IncomingBody, OutgoingRequest, Scheme};

pub(crate) fn ask(provider: &str) -> Oauth2Request {
    Oauth2Request {
        provider: provider.into(),
        scopes: Vec::new(),
        flow: Flow::UserFederation,
        resources: Vec::new(),
        audiences: Vec::new(),
        custom_parameters: Vec::new(),
        force_authentication: false,
        custom_state: None,
    }
}

pub(crate) fn credential(provider: &str) -> Result<Credential, Error> {
    credentials::oauth2(&ask(provider))
}

pub(crate) fn request(url: &str) -> OutgoingRequest {
    let request = OutgoingRequest::new(Fields::new());
    let authority = url.trim_start_matches("https://").trim_end_matches('/');
    request.set_scheme(Some(&Scheme::Https)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some("/")).expect("a path");
    request
}

/// Without a credential.
pub(crate) fn send(url: &str) -> FutureIncomingResponse {
    outgoing_handler::handle(request(url), None).expect("it is sent")
}

/// The body of a response, once it is there.
pub(crate) fn response(future: FutureIncomingResponse) -> IncomingBody {
    future.subscribe().block();
    let response = future.get().expect("it is there").expect("it is taken once").expect("a response");
    response.consume().expect("the body is taken once")
}
