"""Every limit of Amazon's models, enforced by the host: these clients check only few of them before they send.

The cases are read from the models themselves: for each operation one good request, and for each field of it one value
beyond each of its limits. The good request need not succeed; it must not be refused for one of its fields.
"""

import re

import pytest
from botocore.exceptions import ClientError
from conftest import client

CLIENTS = {name: client(name, parameter_validation=False) for name in ("bedrock-agentcore", "bedrock-agentcore-control")}
DATA, CONTROL = CLIENTS

CUSTOM = {
    "customOauth2ProviderConfig": {
        "oauthDiscovery": {"discoveryUrl": "https://id.example/.well-known/openid-configuration"},
        "clientId": "id",
        "clientSecret": "secret",
    }
}
SECRET = {"apiKeySecretSource": "EXTERNAL", "apiKeySecretConfig": {"secretId": "a", "jsonKey": "b"}}
VENDOR = {"name": "not-there", "credentialProviderVendor": "CustomOauth2", "oauth2ProviderConfigInput": CUSTOM}
RUNTIME = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/not-there"
WORKLOAD = "arn:aws:bedrock-agentcore:us-east-1:123456789012:workload-identity-directory/default/workload-identity/not-there"
SESSION = f"urn:ietf:params:oauth:request_uri:{'0' * 32}"
JWT = "eyJhbGciOiJub25lIn0.e30.c2ln"

# Of things that are not there, so that nothing comes of them but an error of another kind.
GOOD = {
    CONTROL: {
        "CreateWorkloadIdentity": None,  # a good one makes something; its fields are those of the update and the tags
        "GetWorkloadIdentity": {"name": "not-there"},
        "UpdateWorkloadIdentity": {"name": "not-there", "allowedResourceOauth2ReturnUrls": ["https://app.example/back"]},
        "DeleteWorkloadIdentity": {"name": "not-there"},
        "ListWorkloadIdentities": {"maxResults": 1},
        "CreateOauth2CredentialProvider": None,
        "GetOauth2CredentialProvider": {"name": "not-there"},
        "UpdateOauth2CredentialProvider": VENDOR,
        "DeleteOauth2CredentialProvider": {"name": "not-there"},
        "ListOauth2CredentialProviders": {"maxResults": 1},
        "CreateApiKeyCredentialProvider": None,
        "GetApiKeyCredentialProvider": {"name": "not-there"},
        "UpdateApiKeyCredentialProvider": {"name": "not-there", "apiKey": "x"},
        "DeleteApiKeyCredentialProvider": {"name": "not-there"},
        "ListApiKeyCredentialProviders": {"maxResults": 1},
        "GetTokenVault": {"tokenVaultId": "not-there"},
        "SetTokenVaultCMK": {"tokenVaultId": "not-there", "kmsConfiguration": {"keyType": "ServiceManagedKey"}},
        "ResetTokenVaultKeyMaterial": {"tokenVaultId": "not-there"},
        "TagResource": {"resourceArn": WORKLOAD, "tags": {"a": "b"}},
        "UntagResource": {"resourceArn": WORKLOAD, "tagKeys": ["a"]},
        "ListTagsForResource": {"resourceArn": WORKLOAD},
    },
    DATA: {
        "GetWorkloadAccessToken": {"workloadName": "not-there"},
        "GetWorkloadAccessTokenForJWT": {"workloadName": "not-there", "userToken": JWT},
        "GetWorkloadAccessTokenForUserId": {"workloadName": "not-there", "userId": "alice"},
        "GetResourceOauth2Token": {
            "workloadIdentityToken": "x",
            "resourceCredentialProviderName": "not-there",
            "scopes": ["a"],
            "oauth2Flow": "M2M",
        },
        "CompleteResourceTokenAuth": {"userIdentifier": {"userId": "alice"}, "sessionUri": SESSION},
        "GetResourceApiKey": {"workloadIdentityToken": "x", "resourceCredentialProviderName": "not-there"},
        "InvokeAgentRuntime": {"agentRuntimeArn": RUNTIME, "payload": b"{}", "runtimeSessionId": "s" * 40},
        "StopRuntimeSession": {"agentRuntimeArn": RUNTIME, "runtimeSessionId": "s" * 40},
    },
}
# What a good request for creating is made of; each case spoils one field, so none is ever created.
CREATE = {
    "CreateWorkloadIdentity": {"name": "never-made", "allowedResourceOauth2ReturnUrls": ["https://app.example/back"], "tags": {"a": "b"}},
    "CreateOauth2CredentialProvider": {**VENDOR, "name": "never-made", "tags": {"a": "b"}},
    "CreateApiKeyCredentialProvider": {"name": "never-made", "apiKey": "x", "tags": {"a": "b"}},
}
# Networks and certificates of Amazon's: refused as a whole, whatever is in them.
ELSEWHERE = {"privateEndpoint", "privateEndpointOverrides", "certificateConfigurations"}
# Headers that HTTP itself has an opinion on, and tracing, which is passed on or dropped but decides nothing.
LOOSE = {"contentType", "accept", "traceId", "traceParent", "traceState", "baggage", "accountId", "clientToken"}
# A body of a hundred megabytes is more than a test sends.
LARGEST = 200_000


def beyond(shape):
    """(what it breaks, value) for each limit of a shape."""
    meta = shape.metadata
    if shape.type_name == "string":
        if shape.enum:
            yield "enum", "NotOneOfThem"
            return
        pattern = meta.get("pattern")
        if meta.get("min"):
            yield "min", "a" * (meta["min"] - 1)
        if meta.get("max") and meta["max"] < LARGEST:
            yield "max", filled(pattern, meta["max"] + 1)
        if pattern and not re.fullmatch(pattern, "é \x7f"):
            yield "pattern", "é \x7f" * max(1, meta.get("min", 0))
        yield "type", 7
    elif shape.type_name in ("integer", "long"):
        if "min" in meta:
            yield "min", meta["min"] - 1
        if "max" in meta:
            yield "max", meta["max"] + 1
        yield "type", "seven"
    elif shape.type_name == "boolean":
        yield "type", "perhaps"


def filled(pattern, length):
    """A text of this length that fits the pattern where that is easy; only its length is wrong then."""
    starts = ("", "urn:ietf:params:oauth:request_uri:", "https://a.example/", "a.b.c", "arn:aws:bedrock-agentcore:us-east-1:123456789012:a/")
    for start in starts:
        text = start + "a" * (length - len(start))
        if not pattern or re.fullmatch(pattern, text):
            return text
    return "a" * length


def cases(shape, path=(), seen=()):
    """(path, what it breaks, value): paths are of names, and 0 for an item of a list."""
    if shape.name in seen:
        return
    seen = (*seen, shape.name)
    if shape.type_name == "structure":
        for name in shape.required_members:
            if not path:
                yield (name,), "required", None
        for name, member in shape.members.items():
            if name in ELSEWHERE or name in LOOSE:
                continue
            yield from cases(member, (*path, name), seen)
        if getattr(shape, "is_tagged_union", False):
            yield path, "union", {}
    elif shape.type_name == "list":
        if shape.metadata.get("max"):
            yield path, "max", None  # as many as one too many, of whatever is there
        yield from cases(shape.member, (*path, 0), seen)
    elif shape.type_name == "map":
        if shape.metadata.get("max"):
            good = "x" * max(1, shape.value.metadata.get("min", 0))
            yield path, "max", {f"key-{number}": good for number in range(shape.metadata["max"] + 1)}
        for broken, key in beyond(shape.key):
            if isinstance(key, str):
                yield path, f"key {broken}", {key: "x"}
        for broken, value in beyond(shape.value):
            if isinstance(value, str):
                yield path, f"value {broken}", {"a": value}
    else:
        for broken, value in beyond(shape):
            yield path, broken, value


def put(into, path, value):
    """A copy with this value at this path, and what leads there."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if step == 0:
        return [put(None, rest, value)]
    copy = dict(into) if isinstance(into, dict) else {}
    # A union holds one member alone.
    if step in UNION_MEMBERS:
        copy = {name: held for name, held in copy.items() if name not in UNION_MEMBERS}
    if value is None and not rest:
        copy.pop(step, None)
    else:
        copy[step] = put(copy.get(step), rest, value)
    return copy


UNION_MEMBERS = {
    "discoveryUrl", "authorizationServerMetadata", "userToken", "userId", "customOauth2ProviderConfig", "googleOauth2ProviderConfig",
    "githubOauth2ProviderConfig", "slackOauth2ProviderConfig", "salesforceOauth2ProviderConfig", "microsoftOauth2ProviderConfig",
    "atlassianOauth2ProviderConfig", "linkedinOauth2ProviderConfig", "includedOauth2ProviderConfig",
}  # fmt: skip


def everything():
    for service, operations in GOOD.items():
        model = CLIENTS[service].meta.service_model
        for operation, good in operations.items():
            good = good or CREATE[operation]
            shape = model.operation_model(operation).input_shape
            for path, broken, value in cases(shape):
                top = shape.members[path[0]]
                place = top.serialization.get("location")
                if place == "uri" and (broken in ("required", "type") or value == ""):
                    continue  # there is no such request: these make its path
                if place in ("header", "querystring") and (broken in ("type", "required") or not isinstance(value, (str, list))):
                    continue
                if place == "header" and isinstance(value, str) and not value.isascii():
                    continue
                if path[0] == "payload":
                    continue
                yield pytest.param(service, operation, good, path, broken, value, id=f"{operation}:{'.'.join(map(str, path))}:{broken}")


@pytest.mark.parametrize("service,operation,good,path,broken,value", list(everything()))
def test_a_value_beyond_a_limit_is_refused_and_its_field_named(service, operation, good, path, broken, value):
    if broken == "max" and value is None:
        held = good
        for step in path:
            held = held.get(step) if isinstance(held, dict) else None
        item = held[0] if held else "client_secret_post"
        value = [item] * 101
    arguments = put(good, path, value)
    with pytest.raises(ClientError) as caught:
        CLIENTS[service]._make_api_call(operation, arguments)
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ValidationException", answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["reason"] in ("FieldValidationFailed", "CannotParse")
    named = [step for step in path if step != 0][-1]
    if answer["reason"] == "FieldValidationFailed":
        assert any(named in entry["name"] and entry["message"] for entry in answer["fieldList"]), answer


@pytest.mark.parametrize(
    "service,operation,good",
    [pytest.param(s, o, g, id=o) for s, operations in GOOD.items() for o, g in operations.items() if g],
)
def test_a_good_request_is_not_refused_for_its_fields(service, operation, good):
    try:
        CLIENTS[service]._make_api_call(operation, good)
    except ClientError as error:
        assert error.response.get("reason") not in ("FieldValidationFailed", "CannotParse"), error.response


def test_the_longest_and_the_shortest_name_are_taken():
    control = CLIENTS[CONTROL]
    for name in ("a" * 255, "abc"):
        control.create_workload_identity(name=name)
        control.delete_workload_identity(name=name)
