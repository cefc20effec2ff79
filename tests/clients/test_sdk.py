"""The `bedrock_agentcore` SDK, unmodified: its client and its decorators, as an agent's author uses them."""

import asyncio
import json
import os

import pytest
from bedrock_agentcore.identity.auth import requires_access_token, requires_api_key
from bedrock_agentcore.runtime import BedrockAgentCoreContext
from bedrock_agentcore.services.identity import IdentityClient, UserIdIdentifier, UserTokenIdentifier
from conftest import CALENDAR, WORLD, unique

SCOPES = ["calendar.read"]


@pytest.fixture
def identity():
    return IdentityClient(os.environ["AWS_DEFAULT_REGION"])


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """A developer's laptop: no token in the context, and nothing written down yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_a_runtime(token, work):
    """As in a hosted agent, which is handed its token by whoever hosts it."""

    async def inside():
        BedrockAgentCoreContext.set_workload_access_token(token)
        return await work()

    return asyncio.run(inside())


def local_user(folder, identity):
    """What the SDK wrote down about this laptop, with return URLs allowed as `agentcore dev` does it."""
    known = json.loads((folder / ".agentcore.json").read_text())
    identity.update_workload_identity(known["workload_identity_name"], [WORLD["return_url"]])
    return known


def test_the_client_makes_reads_and_mints(identity, idp):
    name = identity.create_workload_identity(unique("open"), [WORLD["return_url"]])["name"]
    assert identity.get_workload_identity(name)["name"] == name
    tokens = {
        identity.get_workload_access_token(name)["workloadAccessToken"],
        identity.get_workload_access_token(name, user_token=idp.token("alice"))["workloadAccessToken"],
        identity.get_workload_access_token(name, user_id="alice")["workloadAccessToken"],
    }
    assert len(tokens) == 3
    identity.cp_client.delete_workload_identity(name=name)


def test_an_api_key_arrives_on_a_laptop(empty_folder, control):
    name = unique("weather")
    control.create_api_key_credential_provider(name=name, apiKey="weather-key-weather-key")

    @requires_api_key(provider_name=name)
    def forecast(city, *, api_key):
        return f"{city}: {api_key}"

    assert forecast("Basel") == "Basel: weather-key-weather-key"
    assert json.loads((empty_folder / ".agentcore.json").read_text())["workload_identity_name"].startswith("workload-")
    control.delete_api_key_credential_provider(name=name)


def test_a_machines_token_arrives_on_a_laptop(empty_folder, provider, saas):
    @requires_access_token(provider_name=provider(), scopes=SCOPES, auth_flow="M2M")
    async def work(*, access_token):
        return access_token

    assert saas.about(asyncio.run(work()))["scope"] == "calendar.read"


def test_a_users_token_is_exchanged_in_a_runtime(data, idp, workload, provider, saas):
    to = provider(onBehalfOfTokenExchangeConfig={"grantType": "TOKEN_EXCHANGE", "tokenExchangeGrantTypeConfig": {"actorTokenContent": "NONE"}})
    token = data.get_workload_access_token_for_jwt(workloadName=workload(), userToken=idp.token("alice"))["workloadAccessToken"]

    @requires_access_token(provider_name=to, scopes=SCOPES, auth_flow="ON_BEHALF_OF_TOKEN_EXCHANGE", audiences=[CALENDAR])
    async def work(*, access_token):
        return access_token

    assert saas.about(in_a_runtime(token, work))["user"] == "alice"


def test_a_user_agrees_while_the_sdk_polls(data, idp, workload, provider, saas, person, identity):
    """With the SDK's own poller: every five seconds."""
    token = data.get_workload_access_token_for_jwt(workloadName=workload(), userToken=idp.token("alice"))["workloadAccessToken"]
    links = []

    def agree(link):
        links.append(link)
        url, parameters, _, text = person("alice").consent(link)
        assert url.startswith(WORLD["return_url"]), text
        assert parameters["state"] == "from-the-app"
        identity.complete_resource_token_auth(parameters["session_id"], UserTokenIdentifier(user_token=idp.token("alice")))

    @requires_access_token(
        provider_name=provider(),
        scopes=SCOPES,
        auth_flow="USER_FEDERATION",
        on_auth_url=agree,
        callback_url=WORLD["return_url"],
        custom_state="from-the-app",
    )
    async def work(*, access_token):
        return access_token

    first = in_a_runtime(token, work)
    assert saas.about(first)["user"] == "alice" and len(links) == 1
    assert in_a_runtime(token, work) == first and len(links) == 1, "she is asked once"


def test_a_user_agrees_on_a_laptop(empty_folder, identity, provider, saas, person):
    """As the local-development flow of the SDK does: a user's id of its own making."""

    @requires_api_key(provider_name="not-there")
    def known(*, api_key):
        raise AssertionError("there is no such key")

    with pytest.raises(identity.dp_client.exceptions.ClientError):
        known()
    user = local_user(empty_folder, identity)["user_id"]

    def agree(link):
        _, parameters, _, _ = person("bob").consent(link)
        identity.complete_resource_token_auth(parameters["session_id"], UserIdIdentifier(user_id=user))

    @requires_access_token(
        provider_name=provider(),
        scopes=SCOPES,
        auth_flow="USER_FEDERATION",
        on_auth_url=agree,
        callback_url=WORLD["return_url"],
    )
    async def work(*, access_token):
        return access_token

    assert saas.about(asyncio.run(work()))["user"] == "bob"


def test_what_is_refused_reaches_the_agent_as_an_exception(data, workload, provider):
    bare = data.get_workload_access_token(workloadName=workload("bare"))["workloadAccessToken"]

    @requires_access_token(provider_name=provider(), scopes=SCOPES, auth_flow="M2M")
    async def work(*, access_token):
        return access_token

    with pytest.raises(data.exceptions.ClientError) as caught:
        in_a_runtime(bare, work)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
