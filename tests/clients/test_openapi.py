"""The served OpenAPI document, and what schemathesis makes of the host with it: bounded, and the same each time.

Run on a host of its own: what it makes up may well be valid, and then it happens.
"""

import json
import os
import urllib.request

import boto3
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from conftest import WORLD
from hypothesis import HealthCheck, settings
from requests.auth import AuthBase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

with urllib.request.urlopen(f"{WORLD['url']}/openapi.json", timeout=30) as answer:
    DOCUMENT = json.load(answer)

schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.update(base_url=WORLD["url"])


class Signed(AuthBase):
    """Signs a request as Amazon's clients do, over what is really sent."""

    def __call__(self, request):
        signed = AWSRequest(request.method, request.url, data=request.body)
        if "content-type" in request.headers:
            signed.headers["Content-Type"] = request.headers["content-type"]
        signer = SigV4Auth(boto3.Session().get_credentials(), "bedrock-agentcore", os.environ["AWS_DEFAULT_REGION"])
        signer.add_auth(signed)
        for name in ("Authorization", "X-Amz-Date"):
            request.headers[name] = signed.headers[name]
        return request


def test_the_document_describes_every_operation_that_the_clients_call():
    from test_limits import GOOD

    described = {
        operation.get("operationId")
        for path in DOCUMENT["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    }
    missing = {name for known in GOOD.values() for name in known} - described
    assert not missing, missing
    assert DOCUMENT["openapi"].startswith("3.1")


@schema.parametrize()
@settings(max_examples=15, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_one_of_the_documented(case):
    case.call_and_validate(
        auth=Signed(),
        timeout=30,
        checks=(not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance),
    )
