//! What is asked of the broker, with whose token, and what it says.

use crate::speech::{Said, frames, split, whole};
use attache::broker::{Acquire, Flow, Kind, Wishes};
use attache::ids::CredentialId;
use attache::workers::wire::{Ask, Presented, RequestHead, Send, Told, decode, encode};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

type Token = [u8; 32];

/// The worker's socket to it.
pub(crate) struct Broker(SendRequest<Said>);

impl Broker {
    pub(crate) async fn over(socket: tokio::net::UnixStream) -> std::io::Result<Self> {
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn say(&self, said: Said) -> Result<(Told, Bytes), String> {
        let request = Request::post("http://broker/").body(said).map_err(|error| error.to_string())?;
        let response = self.0.clone().send_request(request).await.map_err(|error| format!("{error:?}"))?;
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let (head, rest) = split(&body).ok_or("no head")?;
        let told = decode(head).map_err(|error| error.to_string())?;
        Ok((told, body.slice_ref(rest)))
    }

    async fn ask(&self, ask: &Ask) -> Result<(Told, Bytes), String> {
        self.say(whole(encode(ask).map_err(|error| error.to_string())?, Bytes::new())).await
    }

    async fn asked(&self, ask: &Ask) -> String {
        in_words(self.ask(ask).await)
    }

    async fn acquired(&self, wat: Token) -> Option<CredentialId> {
        match self.ask(&Ask::Acquire(Presented(wat), calendar())).await {
            Ok((Told::Acquired(acquired), _)) => Some(acquired.id),
            _ => None,
        }
    }

    /// What a worker may do, so that all the refusals say something: its own user's credential, used.
    pub(crate) async fn own(&self, wat: Token, known: &Value) -> String {
        let Some(id) = self.acquired(wat).await else {
            return self.asked(&Ask::Acquire(Presented(wat), calendar())).await;
        };
        let sent = self.asked(&send(wat, Some(id), Method::GET, url(known), &[])).await;
        let revealed = self.asked(&Ask::Reveal(Presented(wat), id)).await;
        let made_up = self.asked(&send(wat, Some(CredentialId::random()), Method::GET, url(known), &[])).await;
        let released = self.asked(&Ask::Release(Presented(wat), id)).await;
        let afterwards = self.asked(&send(wat, Some(id), Method::GET, url(known), &[])).await;
        json!({ "sent": sent, "revealed": revealed, "made up": made_up, "released": released, "afterwards": afterwards })
            .to_string()
    }

    /// This invocation's token and a credential, spelled out for others.
    pub(crate) async fn kept(&self, wat: Token) -> String {
        let id = self.acquired(wat).await;
        json!({ "wat": wat, "credential": id.map(|id| id.bytes()), "url": "" }).to_string()
    }

    /// Everything, with a token and a credential that came from elsewhere.
    pub(crate) async fn used(&self, known: &Value) -> String {
        let bytes = |value: &Value| -> Vec<u8> {
            value.as_array().into_iter().flatten().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect()
        };
        let Ok(wat) = Token::try_from(bytes(&known["wat"])) else { return "no token".into() };
        let id =
            <[u8; 16]>::try_from(bytes(&known["credential"])).map_or(CredentialId::random(), CredentialId::from_bytes);
        let mut told = BTreeMap::new();
        told.insert("acquire", self.asked(&Ask::Acquire(Presented(wat), calendar())).await);
        told.insert("send", self.asked(&send(wat, Some(id), Method::GET, url(known), &[])).await);
        told.insert("plain", self.asked(&send(wat, None, Method::GET, url(known), &[])).await);
        told.insert("reveal", self.asked(&Ask::Reveal(Presented(wat), id)).await);
        told.insert("release", self.asked(&Ask::Release(Presented(wat), id)).await);
        json!(told).to_string()
    }

    /// What the engine would not have let a guest write.
    pub(crate) async fn forged(&self, wat: Token, known: &Value) -> String {
        let Some(id) = self.acquired(wat).await else { return "no credential".into() };
        let (id, here) = (Some(id), url(known));
        let elsewhere = known["elsewhere"].as_str().unwrap_or_default();
        let mut told = BTreeMap::new();
        for (name, value) in
            [("authorization", "Bearer x"), ("cookie", "a=b"), ("x-forwarded-user", "bob"), ("X_Api_Key", "x")]
        {
            told.insert(name, self.asked(&send(wat, id, Method::GET, here, &[(name, value)])).await);
        }
        told.insert("elsewhere", self.asked(&send(wat, id, Method::GET, elsewhere, &[])).await);
        told.insert("plain", self.asked(&send(wat, None, Method::GET, here, &[])).await);
        told.insert("connect", self.asked(&send(wat, id, Method::CONNECT, here, &[])).await);
        told.insert("trace", self.asked(&send(wat, id, Method::TRACE, here, &[])).await);
        told.insert("relative", self.asked(&send(wat, id, Method::GET, "/echo", &[])).await);
        let lengths = [("content-length", "0"), ("content-length", "5")];
        told.insert("lengths", self.asked(&send(wat, id, Method::GET, here, &lengths)).await);
        let hosts = [("host", "evil.example"), ("connection", "x"), ("transfer-encoding", "chunked")];
        told.insert("host", self.asked(&send(wat, id, Method::GET, here, &hosts)).await);
        let wishes = Wishes {
            return_url: Some("https://evil.example/".into()),
            force_authentication: true,
            ..Wishes::default()
        };
        let kind = Kind::Oauth2 { scopes: vec!["calendar.read".into()], flow: Flow::UserFederation, wishes };
        let other = Acquire { provider: "../google-calendar".into(), kind: Kind::ApiKey };
        told.insert("provider", self.asked(&Ask::Acquire(Presented(wat), other)).await);
        let wider = Acquire {
            provider: "google-calendar".into(),
            kind: Kind::Oauth2 {
                scopes: vec!["calendar.admin".into()],
                flow: Flow::UserFederation,
                wishes: Wishes::default(),
            },
        };
        told.insert("scope", self.asked(&Ask::Acquire(Presented(wat), wider)).await);
        let team = Acquire { provider: "team-calendar".into(), kind };
        told.insert("return", self.asked(&Ask::Acquire(Presented(wat), team)).await);
        json!(told).to_string()
    }

    /// Tokens by chance, many at once.
    pub(crate) async fn guessed(&self, times: u64) -> String {
        let asks = (0..times).map(|_| async {
            let chance = [CredentialId::random().bytes(), CredentialId::random().bytes()].concat();
            let Ok(wat) = Token::try_from(chance) else { return String::new() };
            self.asked(&Ask::Acquire(Presented(wat), calendar())).await
        });
        counted(join_all(asks).await)
    }

    /// Messages that are none.
    pub(crate) async fn noise(&self) -> String {
        let messages: [&[u8]; 7] =
            [&[], &[0], &[0, 0, 0, 0], &[0xff; 4], &[0, 0x10, 0, 1], &[0, 0, 0, 3, 9, 9, 9], &[0, 0, 0, 40, 0]];
        let mut told = Vec::new();
        for message in messages {
            told.push(in_words(self.say(frames(vec![Frame::data(Bytes::copy_from_slice(message))])).await));
        }
        counted(told)
    }

    /// Heads that are announced large, filled almost, and never finished.
    pub(crate) async fn half_said(&self, times: u64) -> String {
        use futures_util::StreamExt as _;
        let most = Bytes::from(vec![0; (1 << 20) - 1]);
        let said = (0..times).map(|_| {
            let announced = Frame::data(Bytes::from_static(&[0, 0x10, 0, 0]));
            let frames = futures_util::stream::iter([Ok(announced), Ok(Frame::data(most.clone()))]);
            let said = http_body_util::StreamBody::new(frames.chain(futures_util::stream::pending())).boxed_unsync();
            async {
                match tokio::time::timeout(Duration::from_secs(3), self.say(said)).await {
                    Ok(told) => in_words(told),
                    Err(_) => "not answered".into(),
                }
            }
        });
        counted(join_all(said).await)
    }

    /// Thousands of messages at once, each refused for itself.
    pub(crate) async fn flood(&self, wat: Token, times: u64) -> String {
        let asks = (0..times).map(|_| async move {
            let ask = Acquire { provider: "nobody".into(), kind: Kind::ApiKey };
            self.asked(&Ask::Acquire(Presented(wat), ask)).await
        });
        counted(join_all(asks).await)
    }
}

fn calendar() -> Acquire {
    let (scopes, flow) = (vec!["calendar.read".to_owned()], Flow::UserFederation);
    Acquire { provider: "google-calendar".into(), kind: Kind::Oauth2 { scopes, flow, wishes: Wishes::default() } }
}

fn url(known: &Value) -> &str {
    known["url"].as_str().unwrap_or_default()
}

fn send(wat: Token, credential: Option<CredentialId>, method: Method, url: &str, headers: &[(&str, &str)]) -> Ask {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(*name), http::HeaderValue::try_from(*value)) {
            request.headers_mut().append(name, value);
        }
    }
    let send = Send {
        credential,
        request: RequestHead::of(&request),
        connect_timeout: None,
        first_byte_timeout: None,
        between_bytes_timeout: None,
    };
    Ask::Send(Presented(wat), Box::new(send))
}

fn in_words(told: Result<(Told, Bytes), String>) -> String {
    match told {
        Ok((Told::Acquired(acquired), _)) => format!("acquired {}", acquired.provider),
        Ok((Told::Response(head), body)) => {
            let status = head.with(()).map(|response| response.status().as_u16()).unwrap_or_default();
            format!("answered {status}: {}", String::from_utf8_lossy(&body))
        }
        Ok((Told::Released, _)) => "released".into(),
        Ok((Told::Revealed(bytes), _)) => format!("revealed {} bytes", bytes.len()),
        Ok((Told::Refused(refusal), _)) => format!("refused: {refusal:?}"),
        Err(error) => format!("broken: {error}"),
    }
}

/// How often each was said.
fn counted(all: Vec<String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        *counts.entry(one.chars().take(160).collect()).or_default() += 1;
    }
    json!(counts).to_string()
}
