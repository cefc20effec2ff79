"""Amazon's own clients against a host. `tests/suite/tests/agentcore.rs` starts the host and the test bed, and passes:

- `AWS_ENDPOINT_URL_BEDROCK_AGENTCORE`, `…_CONTROL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_DEFAULT_REGION`:
  what any user of these clients sets. The key may do everything.
- `ATTACHE_CLIENTS`, JSON: `url` of the host; `idp` and `saas` of the test bed; `return_url`, which every workload here may
  have browsers sent to; `agent`, which is deployed; `runtime_key`, which may do what a running workload needs, for
  workloads `own-*` alone.

What a workload may do is the host's configuration, by its name: `open-*`, `own-*` and `workload-*` may use every
provider and know the identity provider's users, and their callers' word for a user's id counts; `strict-*` the same
without the last; `bare-*` may use nothing and know nobody.
"""

import json
import os
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from bed import SECRET, Service
from browser import Browser

WORLD = json.loads(os.environ["ATTACHE_CLIENTS"])
CALENDAR = "https://calendar.test/"
TASKS = "https://tasks.test/"
# Without retries: a test that is refused says so at once.
ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=30)


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def client(service, key=None, **settings):
    """A client of one of the two services, with another access key where one is given."""
    keys = {"aws_access_key_id": key["access_key_id"], "aws_secret_access_key": key["secret_access_key"]} if key else {}
    return boto3.Session().client(service, config=ONCE.merge(Config(**settings)), **keys)


@pytest.fixture(scope="session")
def world():
    return WORLD


@pytest.fixture(scope="session")
def control():
    return client("bedrock-agentcore-control")


@pytest.fixture(scope="session")
def data():
    return client("bedrock-agentcore")


@pytest.fixture(scope="session")
def idp():
    return Service(WORLD["idp"])


@pytest.fixture(scope="session")
def saas():
    return Service(WORLD["saas"])


@pytest.fixture
def workload(control):
    """Makes workload identities, and removes them."""
    made = []

    def make(prefix="open", **more):
        name = unique(prefix)
        control.create_workload_identity(name=name, allowedResourceOauth2ReturnUrls=[WORLD["return_url"]], **more)
        made.append(name)
        return name

    yield make
    for name in made:
        try:
            control.delete_workload_identity(name=name)
        except control.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def provider(control, saas):
    """Makes OAuth2 credential providers onto the test bed's third party, each with a client of its own there."""
    made = []

    def make(prefix="calendar", client_metadata=None, **config):
        name = unique(prefix)
        full = {
            "oauthDiscovery": {"discoveryUrl": f"{saas.url}/.well-known/openid-configuration"},
            "clientId": name,
            "clientSecret": SECRET,
            **config,
        }
        answer = control.create_oauth2_credential_provider(
            name=name,
            credentialProviderVendor="CustomOauth2",
            oauth2ProviderConfigInput={"customOauth2ProviderConfig": full},
        )
        made.append(name)
        if full["clientId"] == name:
            saas.client(name, answer["callbackUrl"], **(client_metadata or {}))
        return name

    yield make
    for name in made:
        try:
            control.delete_oauth2_credential_provider(name=name)
        except control.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def person():
    return lambda user: Browser(user, WORLD["return_url"])


def fields(error):
    """The fields that a `ValidationException` names."""
    return [entry["name"] for entry in error.response.get("fieldList", [])]


def refused(exception, call, **arguments):
    """The error of a call that must fail so, with a message for whoever reads it."""
    with pytest.raises(exception) as caught:
        call(**arguments)
    error = caught.value
    assert isinstance(error, ClientError)
    assert error.response["Error"]["Message"], "an error says why"
    assert error.response["ResponseMetadata"]["RequestId"], "an error can be found again"
    return error
