//! AWS's own vectors, and what a real boto3 sent.

use super::door::Refused;
use super::sigv4::{self, Signed};
use crate::ids::{hex, sha256};
use crate::secret::Secret;
use http::Request;
use http::request::Parts;
use serde_json::Value;
use std::path::Path;

pub(super) fn vectors(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/sigv4");
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

pub(super) fn head(request: &Value) -> Parts {
    let mut builder =
        Request::builder().method(request["method"].as_str().unwrap()).uri(request["target"].as_str().unwrap());
    for header in request["headers"].as_array().unwrap() {
        builder = builder.header(header[0].as_str().unwrap(), header[1].as_str().unwrap().trim());
    }
    builder.body(()).unwrap().into_parts().0
}

/// `SignedHeaders` and `Signature` of a header that need not be for us.
fn parts(head: &Parts) -> (Vec<String>, String) {
    let value = head.headers["authorization"].to_str().unwrap();
    let part = |name: &str| value.split(name).nth(1).unwrap().split(',').next().unwrap().to_owned();
    (part("SignedHeaders=").split(';').map(str::to_owned).collect(), part("Signature="))
}

#[test]
fn the_vectors_of_aws_agree_wherever_a_request_need_not_be_tidied_up() {
    let suite = vectors("aws.json");
    let secret = Secret::from_text(suite["secret_access_key"].as_str().unwrap().into());
    let (mut agreed, mut refused) = (0, 0);
    for request in suite["requests"].as_array().unwrap() {
        let name = request["name"].as_str().unwrap();
        let head = head(request);
        let (signed, signature) = parts(&head);
        let signed: Vec<&str> = signed.iter().map(String::as_str).collect();
        let untidy = ["//", "/.", "/.."].iter().any(|part| head.uri.path().contains(part));
        let canonical = match sigv4::canonical(&head, &signed) {
            Ok(canonical) => canonical + &hex(&sha256(request["body"].as_str().unwrap().as_bytes())),
            Err(error) => {
                assert!(untidy, "{name}: {error}");
                refused += 1;
                continue;
            }
        };
        assert!(!untidy, "{name} must be refused");
        assert_eq!(canonical, request["canonical"].as_str().unwrap(), "{name}");
        let moment = head.headers["x-amz-date"].to_str().unwrap();
        let scope = [&moment[..8], "us-east-1", "service", "aws4_request"];
        let text = sigv4::text_to_sign(moment, scope, &hex(&sha256(canonical.as_bytes())));
        let made = aws_lc_rs::hmac::sign(&sigv4::derived(&secret, scope), text.as_bytes());
        assert_eq!(hex(made.as_ref()), signature, "{name}");
        agreed += 1;
    }
    assert_eq!((agreed, refused), (23, 12));
}

/// A path is encoded once more than on the wire, a query is not.
#[test]
fn what_boto3_sent_is_verified() {
    use base64::Engine as _;
    let captured = vectors("boto3.json");
    let secret = Secret::from_text(captured["secret_access_key"].as_str().unwrap().into());
    let requests = captured["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 11);
    for request in requests {
        let name = request["name"].as_str().unwrap();
        let body = base64::engine::general_purpose::STANDARD.decode(request["body"].as_str().unwrap()).unwrap();
        let signed = Signed::read(&head(request)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let key = sigv4::signing_key(&secret, signed.date(), signed.region());
        assert!(signed.matches(&key, &body), "{name}");
        assert!(!signed.is_unique(), "{name}: botocore does not sign the id of its call");
        let other = Secret::from_text("another".into());
        assert!(!signed.matches(&sigv4::signing_key(&other, signed.date(), signed.region()), &body), "{name}");
    }
}

const GOOD: &str = "AWS4-HMAC-SHA256 Credential=AKATABCDEFGHIJKLMNOP/20261124/eu-central-1/bedrock-agentcore/aws4_request, \
                    SignedHeaders=host;x-amz-date, \
                    Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn read(authorization: &str, also: &[(&str, &str)]) -> Result<Signed, Refused> {
    let mut builder = Request::builder().method("POST").uri("/identities/ListWorkloadIdentities");
    let mut given: Vec<(&str, &str)> = vec![("host", "a.example"), ("x-amz-date", "20261124T120000Z")];
    given.retain(|(name, _)| !also.iter().any(|(other, value)| name == other && value.is_empty()));
    given.extend(also.iter().filter(|(_, value)| !value.is_empty()));
    for (name, value) in given {
        builder = builder.header(name, value);
    }
    Signed::read(&builder.header("authorization", authorization).body(()).unwrap().into_parts().0)
}

#[test]
fn a_signature_that_is_not_in_form_is_refused_with_what_the_form_is() {
    let signed = read(GOOD, &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((signed.key().as_str(), signed.region()), ("AKATABCDEFGHIJKLMNOP", "eu-central-1"));
    assert_eq!(signed.time().to_string(), "2026-11-24T12:00:00.000Z");
    let check = |from: &str, to: &str, why: &str| {
        assert!(GOOD.contains(from), "{from}");
        let error = read(&GOOD.replacen(from, to, 1), &[]).err().unwrap().to_string();
        assert!(error.contains(why), "{to}: {error}");
    };
    check("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256-X ", "must begin with `AWS4-HMAC-SHA256 `");
    check("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ", "must begin with");
    check("AKATABCDEFGHIJKLMNOP", "AKIAABCDEFGHIJKLMNOP", "keys of AWS itself are not accepted");
    check("/20261124/", "/20261123/", "is not the date of `x-amz-date`");
    check("/20261124/", "/2026112/", "must be like `20261124`");
    check("/eu-central-1/", "//", "region");
    check("/eu-central-1/", "/EU/", "region");
    check("bedrock-agentcore", "s3", "sign for the service `bedrock-agentcore`");
    check("aws4_request", "aws4", "ending in `aws4_request`");
    check("/aws4_request", "", "`KEY/DATE/REGION/SERVICE/aws4_request`");
    check("host;x-amz-date", "x-amz-date", "must have `host`");
    check("host;x-amz-date", "host", "must have `x-amz-date`");
    check("host;x-amz-date", "x-amz-date;host", "sorted");
    check("host;x-amz-date", "host;host;x-amz-date", "each once");
    check("host;x-amz-date", "Host;x-amz-date", "lower-case");
    check("host;x-amz-date", "host;x-absent;x-amz-date", "which was not sent");
    check("SignedHeaders", "Signedheaders", "only");
    check(", Signature=", ", Signature=0, Signature=", "twice");
    check("Signature=0123", "Signature=012", "64 lower-case");
    check("Signature=0123", "Signature=0123ab", "64 lower-case");
    check("cdef0123", "CDEF0123", "64 lower-case");
    check(", Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "", "no `Signature`");
}

#[test]
fn what_decides_the_meaning_of_a_request_must_be_signed_exactly() {
    let check = |also: &[(&str, &str)], why: &str| {
        let error = read(GOOD, also).err().unwrap().to_string();
        assert!(error.contains(why), "{also:?}: {error}");
    };
    for name in ["content-type", "x-amzn-bedrock-agentcore-runtime-user-id", "x-amz-anything", "attache-session-id"] {
        check(&[(name, "x")], &format!("must have `{name}`"));
    }
    check(&[("x-amz-security-token", "x")], "unset `AWS_SESSION_TOKEN`");
    check(&[("x-amz-date", "")], "`x-amz-date` is missing");
    check(&[("x-amz-date", "20261124T120000Z")], "must come once");
    check(&[("host", "b.example")], "must come once");
    for time in ["20261124T120000", "2026-11-24T12:00:00Z", "20261324T120000Z", "20261124T250000Z", "20261124t120000z"]
    {
        check(&[("x-amz-date", ""), ("X-Amz-Date", time)], "must be like");
    }
    let users = GOOD.replace("x-amz-date,", "x-amz-date;x-amzn-bedrock-agentcore-runtime-user-id,");
    let user = "x-amzn-bedrock-agentcore-runtime-user-id";
    assert!(read(&users, &[(user, "alice of example.com")]).is_ok());
    for spaced in ["alice  of", "alice\tof"] {
        let error = read(&users, &[(user, spaced)]).err().unwrap().to_string();
        assert!(error.contains("no signature covers"), "{error}");
    }
    assert!(read(&users, &[(user, "alice"), (user, "bob")]).is_err());
    let hashed = GOOD.replace("host;x-amz-date", "host;x-amz-content-sha256;x-amz-date");
    for payload in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        let error = read(&hashed, &[("x-amz-content-sha256", payload)]).err().unwrap().to_string();
        assert!(error.contains("unsigned and streamed bodies are not accepted"), "{error}");
    }
    // Proxies add it, so that it may be there unsigned.
    assert!(read(GOOD, &[("x-amzn-trace-id", "Root=1"), ("accept", "*/*")]).is_ok());
}
