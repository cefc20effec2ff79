"""What is not signed as it should be is refused, whoever else would be allowed."""

import datetime
import json
import os
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from conftest import client

WRONG = ("InvalidSignatureException",)


def spoiled(change):
    """A client whose every signed request is changed after it was signed."""
    control = client("bedrock-agentcore-control")
    control.meta.events.register("before-send.bedrock-agentcore-control.*", lambda request, **_: change(request))
    return control


def denied(control, codes, **arguments):
    with pytest.raises(ClientError) as caught:
        control.list_workload_identities(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (400, 403), answer
    assert answer["Error"]["Code"] in codes, answer
    assert answer["Error"]["Message"]


def header(request, name):
    value = request.headers[name]
    return value.decode() if isinstance(value, bytes) else value


def flip(request):
    value = header(request, "Authorization")
    request.headers["Authorization"] = value[:-1] + ("0" if value[-1] != "0" else "1")


def shorten(request):
    request.headers["Authorization"] = header(request, "Authorization")[:-8]


def other_body(request):
    request.body = request.body.replace(b"7", b"8")


def other_path(request):
    request.url = request.url.replace("ListWorkloadIdentities", "ListApiKeyCredentialProviders")


def other_date(request):
    value = header(request, "X-Amz-Date")
    request.headers["X-Amz-Date"] = value[:-2] + ("1Z" if value[-2] != "1" else "2Z")


def more_query(request):
    request.url += "?x=1"


@pytest.mark.parametrize("change", [flip, other_body, other_path, other_date, more_query], ids=lambda change: change.__name__)
def test_a_request_that_was_changed_is_refused(change):
    denied(spoiled(change), WRONG, maxResults=7)


def test_half_a_signature_is_refused():
    denied(spoiled(shorten), (*WRONG, "IncompleteSignatureException"))


def test_a_request_that_names_itself_is_worth_nothing_to_who_overheard_it(world, workload):
    """As Amazon's clients for Rust and Java sign, which boto3 does not: with an id of the very request."""
    url = f"{world['url']}/identities/GetWorkloadAccessToken"
    body = json.dumps({"workloadName": workload()})
    headers = {"Content-Type": "application/json", "amz-sdk-invocation-id": str(uuid.uuid4()), "amz-sdk-request": "attempt=1"}
    signed = AWSRequest("POST", url, data=body, headers=headers)
    botocore.auth.SigV4Auth(boto3.Session().get_credentials(), "bedrock-agentcore", "us-east-1").add_auth(signed)
    request = urllib.request.Request(url, body.encode(), dict(signed.headers.items()), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 403
    assert caught.value.headers["x-amzn-errortype"].startswith("InvalidSignatureException")


def test_an_unsigned_request_is_refused():
    def strip(request):
        del request.headers["Authorization"]

    with pytest.raises(ClientError) as caught:
        spoiled(strip).list_workload_identities()
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (401, 403)
    assert answer["Error"]["Code"] == "MissingAuthenticationTokenException"


def test_a_key_that_nobody_made_is_refused():
    key = {"access_key_id": "AKATAAAAAAAAAAAAAAAA", "secret_access_key": "x" * 40}
    denied(client("bedrock-agentcore-control", key), ("UnrecognizedClientException",))


def test_a_known_key_with_another_secret_is_refused():
    key = {"access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "secret_access_key": "x" * 40}
    denied(client("bedrock-agentcore-control", key), WRONG)


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_off_is_refused(monkeypatch, minutes):
    real = botocore.auth.get_current_datetime
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *a, **k: real(*a, **k) + datetime.timedelta(minutes=minutes)
    )
    denied(client("bedrock-agentcore-control"), WRONG)


def test_a_signature_in_the_query_is_refused():
    control = client("bedrock-agentcore-control")
    url = control.generate_presigned_url("list_workload_identities", Params={})
    request = urllib.request.Request(url, b"{}", {"content-type": "application/json"}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code in (400, 401, 403)
