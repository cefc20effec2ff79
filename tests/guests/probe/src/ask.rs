//! What a guest may ask of its host.

use crate::bindings::attache::identity::{credentials, identity};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingRequest, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::reply::Query;

pub(crate) fn headers(request: &IncomingRequest) -> String {
    let mut lines: Vec<String> = request
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(&value)))
        .collect();
    lines.push(format!("authority={}", request.authority().unwrap_or_default()));
    lines.join("\n")
}

/// What std can see of the world: nothing, one hopes.
pub(crate) fn environment() -> String {
    let variables = std::env::vars_os().count();
    let arguments = std::env::args_os().count();
    let mut line = String::new();
    let typed = std::io::stdin().read_line(&mut line).unwrap_or(usize::MAX);
    let root = std::fs::read_dir("/").is_ok();
    let file = std::fs::read("/etc/passwd").is_ok();
    format!("variables={variables} arguments={arguments} typed={typed} root={root} file={file}")
}

pub(crate) fn whoami(query: &Query<'_>) -> String {
    let workload = identity::workload();
    let user = identity::user().map(|u| format!("{} at {}", u.subject, u.issuer)).unwrap_or_default();
    let claim = identity::claim(&query.text("claim")).unwrap_or_else(|| "none".into());
    format!("{} {} {}\n{user}\n{claim}", workload.id, workload.name, workload.digest)
}

fn credential(query: &Query<'_>) -> Result<credentials::Credential, credentials::Error> {
    match query.text("flow").as_str() {
        "api-key" => credentials::api_key(&query.text("provider")),
        flow => credentials::oauth2(&credentials::Oauth2Request {
            provider: query.text("provider"),
            scopes: query.all("scope"),
            flow: match flow {
                "machine" => credentials::Flow::MachineToMachine,
                "behalf" => credentials::Flow::OnBehalfOf,
                _ => credentials::Flow::UserFederation,
            },
            resources: query.all("resource"),
            audiences: query.all("audience"),
            custom_parameters: query
                .all("parameter")
                .iter()
                .filter_map(|pair| pair.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            force_authentication: query.text("force") == "yes",
            custom_state: query.all("state").into_iter().next(),
        }),
    }
}

pub(crate) fn acquire(query: &Query<'_>) -> String {
    match credential(query) {
        Ok(credential) => {
            format!("{} {} {:?}", credential.provider(), credential.scopes().join(","), credential.expires_at())
        }
        Err(error) => format!("{error:?}"),
    }
}

/// Asks `count` times in a row and says how often each answer came.
pub(crate) fn flood(query: &Query<'_>) -> String {
    let mut answers = std::collections::BTreeMap::<String, u64>::new();
    for _ in 0..query.number("count") {
        let answer = match credential(query) {
            Ok(_) => "granted".to_owned(),
            Err(credentials::Error::ConsentRequired(_)) => "consent-required".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        *answers.entry(answer).or_default() += 1;
    }
    answers.iter().map(|(answer, times)| format!("{times} {answer}\n")).collect()
}

fn request(url: &str) -> OutgoingRequest {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let request = OutgoingRequest::new(Fields::new());
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => Scheme::Other(other.to_owned()),
    };
    let _ = request.set_scheme(Some(&scheme));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some(path));
    request
}

pub(crate) fn send(query: &Query<'_>) -> String {
    let credential = match credential(query) {
        Ok(credential) => credential,
        Err(error) => return format!("acquire: {error:?}"),
    };
    match credential.send(request(&query.text("url")), None) {
        Ok(future) => read(future),
        Err(error) => format!("send: {error:?}"),
    }
}

pub(crate) fn plain(query: &Query<'_>) -> String {
    match outgoing_handler::handle(request(&query.text("url")), None) {
        Ok(future) => read(future),
        Err(error) => format!("handle: {error:?}"),
    }
}

/// A body of two pieces, finished or abandoned as `finish` says.
pub(crate) fn upload(query: &Query<'_>) -> String {
    let request = request(&query.text("url"));
    let _ = request.set_method(&Method::Post);
    let body = request.body().expect("the body is taken once");
    let future = match outgoing_handler::handle(request, None) {
        Ok(future) => future,
        Err(error) => return format!("handle: {error:?}"),
    };
    let stream = body.write().expect("the stream is taken once");
    for piece in ["first,", "second"] {
        stream.blocking_write_and_flush(piece.as_bytes()).expect("the host reads");
    }
    drop(stream);
    if query.text("finish") == "no" {
        panic!("as asked, in the middle of an upload");
    }
    OutgoingBody::finish(body, None).expect("the body is complete");
    read(future)
}

fn read(future: FutureIncomingResponse) -> String {
    future.subscribe().block();
    let response = match future.get().expect("it is ready").expect("it is read once") {
        Ok(response) => response,
        Err(error) => return format!("response: {error:?}"),
    };
    let status = response.status();
    let mut names: Vec<String> = response.headers().entries().into_iter().map(|(name, _)| name).collect();
    names.sort();
    let body = response.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    let end = loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break "whole",
            Err(StreamError::LastOperationFailed(_)) => break "broken",
        }
    };
    format!("{status} {} {end}\n{}", names.join(","), String::from_utf8_lossy(&bytes))
}

/// Whether a request, and a response, of the guest may carry this header.
pub(crate) fn set_header(query: &Query<'_>) -> String {
    let name = query.text("name");
    let value = b"guest".to_vec();
    let append = Fields::new().append(&name, &value);
    let set = Fields::new().set(&name, std::slice::from_ref(&value));
    let list = Fields::from_list(&[(name, value)]).map(|_| ());
    format!("{append:?} {set:?} {list:?}")
}

pub(crate) fn sleep(ms: u64) {
    monotonic_clock::subscribe_duration(ms * 1_000_000).block();
}
