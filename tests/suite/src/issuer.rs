//! An identity provider in memory, with real keys: how tests get a verified user the honest way.
//!
//! Tests of other packages take this file in by its path.

use attache::clock::Timestamp;
use attache::identity::{Bearer, Documents};
use attache::ids::Issuer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::watch;
use url::Url;

/// An issuer that signs with RS256, PS256, ES256 and EdDSA.
pub struct TestIssuer {
    url: String,
    keys: Keys,
    shelf: Arc<Shelf>,
}

struct Keys {
    /// Counts rotations; part of every key id.
    serial: u32,
    elliptic: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
}

impl Keys {
    fn new(serial: u32) -> Self {
        Self {
            serial,
            elliptic: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            edwards: Ed25519KeyPair::generate().unwrap(),
        }
    }
}

/// RSA keys are slow to make, so all issuers of a process share one, under key ids of their own.
fn rsa() -> &'static RsaKeyPair {
    static RSA: OnceLock<RsaKeyPair> = OnceLock::new();
    RSA.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

impl TestIssuer {
    /// With new keys, published at `{url}/jwks`.
    pub fn new(url: &str) -> Self {
        let issuer = Self { url: url.to_owned(), keys: Keys::new(1), shelf: Arc::new(Shelf::new()) };
        issuer.publish_metadata(json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }));
        issuer.publish(issuer.key_set());
        issuer
    }

    /// `iss`.
    pub fn issuer(&self) -> Issuer {
        Issuer::parse(&self.url).unwrap()
    }

    /// Claims of a good token: issuer, subject, audience, made now, good for five minutes.
    pub fn claims(&self, subject: &str, audience: &str, now: Timestamp) -> Value {
        json!({ "iss": self.url, "sub": subject, "aud": audience, "iat": now.secs(), "exp": now.secs() + 300 })
    }

    /// A token with these claims, by ES256.
    pub fn sign(&self, claims: Value) -> String {
        self.sign_as("ES256", claims)
    }

    /// A token with these claims, by this algorithm.
    pub fn sign_as(&self, alg: &str, claims: Value) -> String {
        self.sign_with(json!({ "alg": alg, "typ": "JWT", "kid": self.kid(alg) }), claims)
    }

    /// A token with this header as it is. Signed by its `alg`, or by ES256 where that is none of ours.
    pub fn sign_with(&self, header: Value, claims: Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// As [`TestIssuer::sign_with`], over text that need not be good JSON.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let alg =
            serde_json::from_str::<Value>(header).ok().and_then(|header| Some(header["alg"].as_str()?.to_owned()));
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.signature(alg.as_deref().unwrap_or_default(), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, alg: &str, signed: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match alg {
            "RS256" | "PS256" => {
                let mut signature = vec![0; rsa().public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if alg == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
                rsa().sign(padding, &random, signed, &mut signature).unwrap();
                signature
            }
            "EdDSA" => self.keys.edwards.sign(signed).as_ref().to_vec(),
            _ => self.keys.elliptic.sign(&random, signed).unwrap().as_ref().to_vec(),
        }
    }

    /// The key id for this algorithm.
    pub fn kid(&self, alg: &str) -> String {
        let kind = match alg {
            "RS256" | "PS256" => "rsa",
            "EdDSA" => "ed",
            _ => "ec",
        };
        format!("{kind}-{}", self.keys.serial)
    }

    /// New keys under new ids. The old ones are gone from the published set at once.
    pub fn rotate(&mut self) {
        self.keys = Keys::new(self.keys.serial + 1);
        self.publish(self.key_set());
    }

    /// The set of its public keys.
    pub fn key_set(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = self.keys.elliptic.public_key().as_ref();
        let rsa = rsa().public_key();
        json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid("ES256"),
              "x": text(&point[1..33]), "y": text(&point[33..]) },
            { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid("EdDSA"),
              "x": text(self.keys.edwards.public_key().as_ref()) },
            { "kty": "RSA", "use": "sig", "kid": self.kid("RS256"),
              "n": text(rsa.modulus().big_endian_without_leading_zero()),
              "e": text(rsa.exponent().big_endian_without_leading_zero()) },
        ] })
    }

    /// Publishes another key set than its own.
    pub fn publish(&self, key_set: Value) {
        self.shelf.put(&format!("{}/jwks", self.url), key_set);
    }

    /// Publishes another discovery document.
    pub fn publish_metadata(&self, metadata: Value) {
        self.shelf.put(&format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/')), metadata);
    }

    /// What it publishes, in memory.
    pub fn documents(&self) -> Arc<dyn Documents> {
        self.shelf.clone()
    }

    /// How often its key set was asked for, whether or not it answered.
    pub fn fetches(&self) -> usize {
        self.shelf.asked.lock().unwrap().iter().filter(|url| url.ends_with("/jwks")).count()
    }

    /// Every address that was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.shelf.asked.lock().unwrap().clone()
    }

    /// Whether it refuses to answer from now on.
    pub fn set_down(&self, down: bool) {
        *self.shelf.down.lock().unwrap() = down;
    }

    /// Whether its answers wait from now on.
    pub fn set_held(&self, held: bool) {
        self.shelf.held.send_replace(held);
    }
}

/// What several issuers publish.
pub fn documents_of(issuers: &[&TestIssuer]) -> Arc<dyn Documents> {
    Arc::new(Shelves(issuers.iter().map(|issuer| issuer.shelf.clone()).collect()))
}

/// A token as a request carries it.
pub fn bearer(token: &str) -> Bearer {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    Bearer::from_header(&headers).unwrap()
}

struct Shelf {
    documents: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    down: Mutex<bool>,
    held: watch::Sender<bool>,
}

impl Shelf {
    fn new() -> Self {
        Self {
            documents: Mutex::default(),
            asked: Mutex::default(),
            down: Mutex::default(),
            held: watch::Sender::new(false),
        }
    }

    fn put(&self, url: &str, document: Value) {
        self.documents.lock().unwrap().insert(url.to_owned(), document.to_string().into_bytes());
    }
}

impl Documents for Shelf {
    fn get(&self, url: &Url) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        let url = url.to_string();
        Box::pin(async move {
            self.asked.lock().unwrap().push(url.clone());
            let _ = self.held.subscribe().wait_for(|held| !held).await;
            if *self.down.lock().unwrap() {
                return Err("connection refused".into());
            }
            self.documents.lock().unwrap().get(&url).cloned().ok_or_else(|| "it answered 404".into())
        })
    }
}

struct Shelves(Vec<Arc<Shelf>>);

impl Documents for Shelves {
    fn get(&self, url: &Url) -> BoxFuture<'_, Result<Vec<u8>, String>> {
        let holder = self.0.iter().find(|shelf| shelf.documents.lock().unwrap().contains_key(url.as_str()));
        match holder {
            Some(shelf) => shelf.get(url),
            None => Box::pin(async { Err("it answered 404".into()) }),
        }
    }
}
