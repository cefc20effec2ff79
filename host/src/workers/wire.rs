//! What host and worker say to each other: the head of a message, by postcard, before a body that streams.
//!
//! Both ends are HTTP/2 over a socket pair, which brings streams, flow control and cancellation; what is asked stands in these
//! heads alone. Decoding is bounded and has no other effect, since the other side may be an attacker.

use crate::broker::{Acquire, Acquired, Refusal, UserFacts, WorkloadFacts};
use crate::ids::CredentialId;
use crate::runtime::InvokeError;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use zeroize::Zeroize;

/// Bytes of one head. A guest's header map has at most 32 KiB, unless an operator allows more.
pub const MOST_HEAD_BYTES: usize = 1 << 20;

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a message between host and worker cannot be read: {0}")]
pub struct WireError(pub &'static str);

/// A workload access token on its way. Wiped when dropped.
#[derive(Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
pub struct Presented(pub [u8; 32]);

/// To a worker: run this.
#[derive(Serialize, Deserialize)]
pub struct Invoke {
    /// To present with everything that comes of it.
    pub wat: Presented,
    /// What the guest may know of its workload.
    pub workload: WorkloadFacts,
    /// And of its user.
    pub user: Option<UserFacts>,
    /// And of the claims.
    pub claims: BTreeMap<String, String>,
    /// Whether `reveal` was granted.
    pub reveal: bool,
    /// The request's head.
    pub request: RequestHead,
}

/// From a worker: how an invocation began to answer, or why it did not.
pub type Invoked = Result<ResponseHead, InvokeError>;

/// To the broker.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// The right to use a credential.
    Acquire(Presented, Acquire),
    /// A request to be sent; its body follows.
    Send(Presented, Box<Send>),
    /// A credential is given up.
    Release(Presented, CredentialId),
    /// A credential as bytes.
    Reveal(Presented, CredentialId),
}

impl Ask {
    /// Whose message it is.
    pub fn wat(&self) -> &Presented {
        match self {
            Self::Acquire(wat, _) | Self::Send(wat, _) | Self::Release(wat, _) | Self::Reveal(wat, _) => wat,
        }
    }
}

/// A request to be sent.
#[derive(Serialize, Deserialize)]
pub struct Send {
    /// With which credential.
    pub credential: Option<CredentialId>,
    /// Its head, with an absolute URI.
    pub request: RequestHead,
    /// The guest's wishes.
    pub connect_timeout: Option<Duration>,
    /// Until the response's head.
    pub first_byte_timeout: Option<Duration>,
    /// Between chunks of the response's body.
    pub between_bytes_timeout: Option<Duration>,
}

/// From the broker. Which of them it is follows from what was asked.
#[derive(Serialize, Deserialize)]
pub enum Told {
    /// To [`Ask::Acquire`].
    Acquired(Acquired),
    /// To [`Ask::Send`]; the body follows.
    Response(ResponseHead),
    /// To [`Ask::Release`].
    Released,
    /// To [`Ask::Reveal`].
    Revealed(Vec<u8>),
    /// To any.
    Refused(Refusal),
}

/// A request without its body.
#[derive(Serialize, Deserialize)]
pub struct RequestHead {
    method: String,
    uri: String,
    headers: Vec<(String, Vec<u8>)>,
    /// Of the body, where it is known.
    pub length: Option<u64>,
}

/// A response without its body.
#[derive(Serialize, Deserialize)]
pub struct ResponseHead {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    /// Of the body, where it is known.
    pub length: Option<u64>,
}

/// Reads a head. Never more than its bytes, and all of them.
///
/// # Errors
/// [`WireError`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(WireError("something follows its end")),
        Err(_) => Err(WireError("it is none that this release knows")),
    }
}

/// Writes a head, with its length before it.
///
/// # Errors
/// [`WireError`] for one that the other side would not read.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    let mut bytes = postcard::to_stdvec(message).map_err(|_| WireError("it cannot be written"))?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if bytes.len() > MOST_HEAD_BYTES {
        bytes.zeroize();
        return Err(WireError("it is too long"));
    }
    let mut framed = Vec::with_capacity(bytes.len() + 4);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&bytes);
    bytes.zeroize();
    Ok(framed)
}

impl RequestHead {
    /// Of this request.
    pub fn of<B: http_body::Body>(request: &Request<B>) -> Self {
        Self {
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            headers: listed(request.headers()),
            length: length(request.body()),
        }
    }

    /// The request, with this body.
    ///
    /// # Errors
    /// [`WireError`] where a part is none.
    pub fn with<B>(self, body: B) -> Result<Request<B>, WireError> {
        let mut request = Request::new(body);
        *request.method_mut() =
            Method::from_bytes(self.method.as_bytes()).map_err(|_| WireError("its method is none"))?;
        *request.uri_mut() = Uri::try_from(self.uri).map_err(|_| WireError("its address is none"))?;
        *request.headers_mut() = map(self.headers)?;
        Ok(request)
    }
}

impl ResponseHead {
    /// Of this response.
    pub fn of<B: http_body::Body>(response: &Response<B>) -> Self {
        let status = response.status().as_u16();
        Self { status, headers: listed(response.headers()), length: length(response.body()) }
    }

    /// The response, with this body.
    ///
    /// # Errors
    /// [`WireError`] where a part is none.
    pub fn with<B>(self, body: B) -> Result<Response<B>, WireError> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).map_err(|_| WireError("its status is none"))?;
        *response.headers_mut() = map(self.headers)?;
        Ok(response)
    }
}

fn length<B: http_body::Body>(body: &B) -> Option<u64> {
    if body.is_end_stream() { Some(0) } else { body.size_hint().exact() }
}

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

fn map(headers: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, WireError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|_| WireError("the name of a header is none"))?;
        let value = HeaderValue::try_from(value).map_err(|_| WireError("the value of a header is none"))?;
        // The map itself has an end.
        map.try_append(name, value).map_err(|_| WireError("it has too many headers"))?;
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Empty, Full};

    #[test]
    fn a_head_says_again_what_it_was_made_of() {
        let request = Request::put("https://api.example/x?y=z")
            .header("a", "1")
            .header("a", "2")
            .header("b", HeaderValue::from_bytes(&[0xff]).unwrap())
            .body(Full::new(bytes::Bytes::from_static(b"four")))
            .unwrap();
        let framed = encode(&RequestHead::of(&request)).unwrap();
        let head: RequestHead = decode(&framed[4..]).unwrap();
        assert_eq!(head.length, Some(4));
        let again = head.with(()).unwrap();
        assert_eq!(
            (again.method(), again.uri(), again.headers()),
            (request.method(), request.uri(), request.headers())
        );
        let empty = Response::new(Empty::<bytes::Bytes>::new());
        assert_eq!(ResponseHead::of(&empty).length, Some(0));
    }

    #[test]
    fn what_is_cut_longer_or_of_another_kind_is_refused() {
        let ask = Ask::Reveal(Presented([7; 32]), CredentialId::random());
        let framed = encode(&ask).unwrap();
        assert!(decode::<Ask>(&framed[4..]).is_ok());
        for end in 4..framed.len() {
            assert!(decode::<Ask>(&framed[4..end]).is_err(), "{end}");
        }
        let longer = [&framed[4..], b"x"].concat();
        assert_eq!(decode::<Ask>(&longer).err(), Some(WireError("something follows its end")));
    }

    #[test]
    fn no_head_makes_a_header_that_is_none() {
        for (name, value) in [("a b", "x"), ("", "x"), ("a", "x\r\ny: z"), ("A", "\0")] {
            let head =
                ResponseHead { status: 200, headers: vec![(name.to_owned(), value.as_bytes().to_vec())], length: None };
            assert!(head.with(()).is_err(), "{name:?} {value:?}");
        }
    }
}
