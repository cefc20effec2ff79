//! The client modules of the OpenID conformance suite, plan by plan, and what stands for each of them here.
//!
//! As of commit 12f2a4d (August 2026) of <https://gitlab.com/openid/conformance-suite>. The suite itself is a service of a
//! dozen parts that drives a client over TLS; what its modules do to a client is done by `tests/testbed/liar.mjs`.

use super::{How, How::*};

/// `oidcc-client-basic-certification-test-plan`: the host as a relying party, at its own pages.
pub(crate) const BASIC: [&str; 14] = [
    "oidcc-client-test",
    "oidcc-client-test-invalid-iss",
    "oidcc-client-test-missing-sub",
    "oidcc-client-test-invalid-aud",
    "oidcc-client-test-missing-iat",
    "oidcc-client-test-kid-absent-single-jwks",
    "oidcc-client-test-kid-absent-multiple-jwks",
    "oidcc-client-test-idtoken-sig-rs256",
    "oidcc-client-test-idtoken-sig-none",
    "oidcc-client-test-invalid-sig-rs256",
    "oidcc-client-test-userinfo-invalid-sub",
    "oidcc-client-test-nonce-invalid",
    "oidcc-client-test-scope-userinfo-claims",
    "oidcc-client-test-client-secret-basic",
];

/// `oidcc-client-config-certification-test-plan`.
pub(crate) const CONFIG: [&str; 6] = [
    "oidcc-client-test-discovery-openid-config",
    "oidcc-client-test-discovery-jwks-uri-keys",
    "oidcc-client-test-discovery-issuer-mismatch",
    "oidcc-client-test-idtoken-sig-none",
    "oidcc-client-test-signing-key-rotation-just-before-signing",
    "oidcc-client-test-signing-key-rotation",
];

/// `oidcc-client-refreshtoken-test-plan`: the host as an agent's client.
pub(crate) const REFRESH: [&str; 3] = [
    "oidcc-client-test-refresh-token",
    "oidcc-client-test-refresh-token-invalid-issuer",
    "oidcc-client-test-refresh-token-invalid-sub",
];

/// `fapi2-security-profile-final-client-test-plan`, with plain responses; without the prefix that all of them have.
pub(crate) const FAPI: [&str; 24] = [
    "happy-path",
    "discovery-issuer-mismatch",
    "invalid-iss",
    "invalid-aud",
    "invalid-secondary-aud",
    "invalid-null-alg",
    "invalid-alternate-alg",
    "invalid-expired-exp",
    "invalid-missing-exp",
    "invalid-missing-aud",
    "invalid-missing-iss",
    "valid-aud-as-array",
    "invalid-nonce",
    "invalid-missing-nonce",
    "invalid-authorization-response-iss",
    "remove-authorization-response-iss",
    "ensure-authorization-response-with-invalid-state-fails",
    "ensure-authorization-response-with-invalid-missing-state-fails",
    "token-endpoint-response-without-expires_in",
    "token-type-case-insensitivity",
    "rs-dpop-auth-scheme-case-insensitivity",
    "happy-path-no-dpop-nonce",
    "invalid-openbanking-intent-id",
    "refresh-token-test",
];

const USERINFO: &str = "the host asks no userinfo endpoint: all that it knows of a user stands in a signed token";

/// What a lying provider does, and what the host must do.
pub(crate) const TABLE: &[(&str, How)] = &[
    // As a relying party.
    ("oidcc-client-test", SignsIn(&[])),
    ("oidcc-client-test-invalid-iss", SignInFails(&["id-other-issuer"], "the issuer `https://other.example`")),
    ("oidcc-client-test-missing-sub", SignInFails(&["id-no-subject"], "no `sub`")),
    ("oidcc-client-test-invalid-aud", SignInFails(&["id-other-audience"], "audience is none of those")),
    ("oidcc-client-test-missing-iat", SignInFails(&["id-no-issued-at"], "no `iat`")),
    ("oidcc-client-test-kid-absent-single-jwks", AnewSignsIn(&["keys-one", "id-no-key-id"])),
    (
        "oidcc-client-test-kid-absent-multiple-jwks",
        AnewSignInFails(&["keys-two-alike", "id-no-key-id"], "the only one for `RS256`"),
    ),
    ("oidcc-client-test-idtoken-sig-rs256", SignsIn(&[])),
    ("oidcc-client-test-idtoken-sig-none", SignInFails(&["id-unsigned"], "it is not signed")),
    ("oidcc-client-test-invalid-sig-rs256", SignInFails(&["id-bad-signature"], "the signature does not verify")),
    ("oidcc-client-test-userinfo-invalid-sub", Never(USERINFO)),
    ("oidcc-client-test-nonce-invalid", SignInFails(&["id-other-nonce"], "its `nonce` is another")),
    ("oidcc-client-test-scope-userinfo-claims", Never(USERINFO)),
    (
        "oidcc-client-test-client-secret-basic",
        Elsewhere("tests/suite/tests/conformance/main.rs::the_hosts_own_client_is_known_by_its_secret_in_a_header"),
    ),
    ("oidcc-client-test-discovery-openid-config", AnewSignsIn(&[])),
    ("oidcc-client-test-discovery-jwks-uri-keys", AnewSignsIn(&[])),
    (
        "oidcc-client-test-discovery-issuer-mismatch",
        AnewSignInFails(&["document-other-issuer"], "names another issuer"),
    ),
    ("oidcc-client-test-signing-key-rotation-just-before-signing", AnewSignsIn(&["id-rotated-just-before"])),
    (
        "oidcc-client-test-signing-key-rotation",
        Elsewhere("tests/suite/tests/conformance/main.rs::keys_that_rotate_between_two_sign_ins_are_followed"),
    ),
    // As an agent's client.
    ("oidcc-client-test-refresh-token", Renews(&[])),
    ("oidcc-client-test-refresh-token-invalid-issuer", RenewalFails(&["refresh-other-issuer"], "of another user")),
    ("oidcc-client-test-refresh-token-invalid-sub", RenewalFails(&["refresh-other-subject"], "of another user")),
    // FAPI 2.0: what concerns ID tokens, at the host's own pages; the rest as an agent's client.
    (
        "happy-path",
        Elsewhere(
            "tests/suite/tests/flows/bound.rs::a_bound_grant_is_proven_at_the_resource_and_its_token_alone_opens_nothing",
        ),
    ),
    ("discovery-issuer-mismatch", ConsentFails(&["document-other-issuer"], "names another issuer")),
    ("invalid-iss", SignInFails(&["id-issuer-slash"], "is not one that")),
    ("invalid-aud", SignInFails(&["id-other-audience"], "audience is none of those")),
    ("invalid-secondary-aud", SignInFails(&["id-second-audience-with-party"], "for others besides")),
    ("invalid-null-alg", SignInFails(&["id-unsigned"], "it is not signed")),
    ("invalid-alternate-alg", SignInFails(&["id-es256"], "algorithm `ES256` is not accepted")),
    ("invalid-expired-exp", SignInFails(&["id-expired"], "the token expired at")),
    ("invalid-missing-exp", SignInFails(&["id-no-expiry"], "no `exp`")),
    ("invalid-missing-aud", SignInFails(&["id-no-audience"], "audience is none of those")),
    ("invalid-missing-iss", SignInFails(&["id-no-issuer"], "no `iss`")),
    ("valid-aud-as-array", SignsIn(&["id-audience-in-a-list"])),
    ("invalid-nonce", SignInFails(&["id-other-nonce"], "its `nonce` is another")),
    ("invalid-missing-nonce", SignInFails(&["id-no-nonce"], "its `nonce` is another")),
    ("invalid-authorization-response-iss", ConsentFails(&["wrong-iss"], "names the issuer `https://other.example`")),
    ("remove-authorization-response-iss", ConsentFails(&["no-iss"], "names no issuer although")),
    ("ensure-authorization-response-with-invalid-state-fails", ConsentFails(&["wrong-state"], "unknown or used up")),
    (
        "ensure-authorization-response-with-invalid-missing-state-fails",
        ConsentFails(&["no-state"], "`state` is missing"),
    ),
    ("token-endpoint-response-without-expires_in", Consents(&["expires-missing"])),
    ("token-type-case-insensitivity", Consents(&["type-inverted"])),
    (
        "rs-dpop-auth-scheme-case-insensitivity",
        Elsewhere("host/src/egress/carry_tests.rs::a_challenge_is_understood_in_any_case"),
    ),
    (
        "happy-path-no-dpop-nonce",
        Elsewhere(
            "tests/suite/tests/flows/bound.rs::a_bound_grant_is_proven_at_the_resource_and_its_token_alone_opens_nothing",
        ),
    ),
    ("invalid-openbanking-intent-id", Never("a claim of Open Banking UK; the host asks for none")),
    ("refresh-token-test", Renews(&[])),
    // Beyond the plans.
    ("ours: no ID token", SignInFails(&["id-missing"], "sent no ID token")),
    ("ours: another azp", SignInFails(&["id-other-party"], "its `azp` is another client")),
    ("ours: issued tomorrow", SignInFails(&["id-issued-tomorrow"], "not valid before")),
    ("ours: exp as text", SignInFails(&["id-expiry-text"], "its `exp` is no time")),
    ("ours: HMAC with the public key", SignInFails(&["id-hmac"], "algorithm `HS256` is not accepted")),
    ("ours: signed with a stranger's key", SignInFails(&["id-strange-key"], "the signature does not verify")),
    ("ours: an answer with no iss", SignInFails(&["no-iss"], "configured identity provider")),
    ("ours: an answer with another iss", SignInFails(&["wrong-iss"], "configured identity provider")),
    ("ours: an answer with iss twice", SignInFails(&["iss-twice"], "cannot be read")),
    ("ours: an answer with two codes", SignInFails(&["two-codes"], "cannot be read")),
    ("ours: an answer with no state", SignInFails(&["no-state"], "expired or was used before")),
    ("ours: an answer with another state", SignInFails(&["wrong-state"], "expired or was used before")),
    ("ours: token type in lower case", Consents(&["type-lower-case"])),
    ("ours: token type missing", ConsentFails(&["type-missing"], "no token type")),
    ("ours: token type mac", ConsentFails(&["type-mac"], "token type is not `Bearer`")),
    ("ours: members of an answer twice", ConsentFails(&["members-twice"], "cannot be")),
];
