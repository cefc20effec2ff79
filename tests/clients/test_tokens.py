"""`GetResourceOauth2Token` and `CompleteResourceTokenAuth`: all three flows."""

import pytest
from conftest import CALENDAR, TASKS, WORLD, refused

SCOPES = ["calendar.read"]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Asking:
    """A workload that serves somebody, and asks one provider."""

    def __init__(self, data, token, provider):
        self.data = data
        self.fixed = {"workloadIdentityToken": token, "resourceCredentialProviderName": provider, "scopes": SCOPES}

    def ask(self, flow="USER_FEDERATION", **more):
        return self.data.get_resource_oauth2_token(**{**self.fixed, "oauth2Flow": flow, **more})

    def refused(self, exception, flow="USER_FEDERATION", **more):
        return refused(exception, self.data.get_resource_oauth2_token, **{**self.fixed, "oauth2Flow": flow, **more})


@pytest.fixture
def asking(data, idp, workload, provider):
    def make(user=None, prefix="open", name=None, to=None, user_id=None):
        name = name or workload(prefix)
        if user_id:
            token = data.get_workload_access_token_for_user_id(workloadName=name, userId=user_id)
        elif user:
            token = data.get_workload_access_token_for_jwt(workloadName=name, userToken=idp.token(user))
        else:
            token = data.get_workload_access_token(workloadName=name)
        return Asking(data, token["workloadAccessToken"], to or provider())

    return make


def back_at_the_app(answer, browser):
    """Goes through the pages; the parameters that the app's page is called with."""
    assert answer["sessionUri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert answer.get("sessionStatus", "IN_PROGRESS") == "IN_PROGRESS" and "accessToken" not in answer
    url, parameters, _, text = browser.consent(answer["authorizationUrl"])
    assert url.startswith(WORLD["return_url"]), f"{url}: {text}"
    return parameters


# Machine to machine.


def test_a_machines_token_is_its_own_and_asked_for_once(asking, saas):
    before = saas.answered("client_credentials")
    one = asking()
    token = one.ask("M2M")["accessToken"]
    assert one.ask("M2M")["accessToken"] == token, "it is kept until it is near its end"
    assert saas.answered("client_credentials") == before + 1
    about = saas.about(token)
    assert about["scope"] == "calendar.read" and about.get("user") is None


def test_no_workload_gets_the_machine_token_of_another(asking, provider):
    shared = provider()
    assert asking(to=shared).ask("M2M")["accessToken"] != asking(to=shared).ask("M2M")["accessToken"]


def test_a_resource_that_is_asked_for_is_what_the_token_is_for(asking, saas):
    token = asking().ask("M2M", scopes=["tasks.read"], resources=[TASKS])["accessToken"]
    assert saas.about(token)["audience"] == TASKS


# On behalf of.


@pytest.mark.parametrize("actor", ["NONE", "M2M", "AWS_IAM_ID_TOKEN_JWT"])
def test_a_users_token_is_exchanged_and_says_who_acts(asking, provider, saas, actor):
    exchange = {"actorTokenContent": actor, **({"actorTokenScopes": SCOPES} if actor == "M2M" else {})}
    to = provider(onBehalfOfTokenExchangeConfig={"grantType": "TOKEN_EXCHANGE", "tokenExchangeGrantTypeConfig": exchange})
    token = asking("alice", to=to).ask("ON_BEHALF_OF_TOKEN_EXCHANGE", audiences=[CALENDAR])["accessToken"]
    about = saas.about(token)
    assert about["user"] == "alice" and about["scope"] == "calendar.read"
    asked = [entry for entry in saas.control("stats")["exchanges"] if entry["client"] == to][-1]
    assert asked["grant_type"] == EXCHANGE and asked["audience"] == CALENDAR
    if actor == "NONE":
        assert "act" not in about
    elif actor == "M2M":
        assert about["act"]["sub"] == to
    else:
        assert about["act"]["sub"].startswith("spiffe://") and about["act"]["iss"] == WORLD["url"]


def test_a_users_token_is_redeemed_as_an_assertion(asking, provider, saas):
    to = provider(onBehalfOfTokenExchangeConfig={"grantType": "JWT_AUTHORIZATION_GRANT"})
    token = asking("bob", to=to).ask("ON_BEHALF_OF_TOKEN_EXCHANGE")["accessToken"]
    assert saas.about(token)["user"] == "bob"
    assert saas.answered(JWT_BEARER) >= 1


def test_acting_for_somebody_takes_somebody_whose_token_was_verified(asking, provider):
    to = provider(onBehalfOfTokenExchangeConfig={"grantType": "TOKEN_EXCHANGE", "tokenExchangeGrantTypeConfig": {"actorTokenContent": "NONE"}})
    for nobody in (asking(to=to), asking(user_id="alice", to=to)):
        error = nobody.refused(nobody.data.exceptions.ClientError, "ON_BEHALF_OF_TOKEN_EXCHANGE")
        assert error.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException")


# A user's consent.


def test_a_user_agrees_once_and_the_app_says_who_was_there(asking, idp, saas, person):
    alice = asking("alice")
    first = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"], customState="app-state", customParameters={"hint": "x"})
    polled = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"], sessionUri=first["sessionUri"])
    assert polled["sessionStatus"] == "IN_PROGRESS" and "accessToken" not in polled
    parameters = back_at_the_app(first, person("alice"))
    assert parameters["state"] == "app-state"
    assert "accessToken" not in alice.ask(sessionUri=first["sessionUri"]), "nothing before the app says who was there"
    # Another token of the same alice, as after a refresh.
    done = alice.data.complete_resource_token_auth(userIdentifier={"userToken": idp.token("alice")}, sessionUri=parameters["session_id"])
    assert done["ResponseMetadata"]["HTTPStatusCode"] == 200
    token = alice.ask(sessionUri=first["sessionUri"])["accessToken"]
    assert saas.about(token)["user"] == "alice"
    assert alice.ask()["accessToken"] == token, "she is not asked again"
    refused(
        alice.data.exceptions.ClientError,
        alice.data.complete_resource_token_auth,
        userIdentifier={"userToken": idp.token("alice")},
        sessionUri=parameters["session_id"],
    )


def test_who_completes_is_who_started_or_nothing_is_kept(asking, idp, person):
    mallory = asking("mallory")
    first = mallory.ask(resourceOauth2ReturnUrl=WORLD["return_url"])
    parameters = back_at_the_app(first, person("alice"))
    error = refused(
        mallory.data.exceptions.ClientError,
        mallory.data.complete_resource_token_auth,
        userIdentifier={"userToken": idp.token("alice")},
        sessionUri=parameters["session_id"],
    )
    assert error.response["Error"]["Code"] in ("AccessDeniedException", "ValidationException")
    refused(
        mallory.data.exceptions.ClientError,
        mallory.data.complete_resource_token_auth,
        userIdentifier={"userToken": idp.token("mallory")},
        sessionUri=parameters["session_id"],
    )
    answer = mallory.ask(sessionUri=first["sessionUri"])
    assert "accessToken" not in answer and answer["sessionStatus"] == "FAILED"


def test_the_session_uri_that_the_agent_holds_does_not_complete(asking, idp, person):
    alice = asking("alice")
    first = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"])
    parameters = back_at_the_app(first, person("alice"))
    assert parameters["session_id"] != first["sessionUri"]
    refused(
        alice.data.exceptions.ClientError,
        alice.data.complete_resource_token_auth,
        userIdentifier={"userToken": idp.token("alice")},
        sessionUri=first["sessionUri"],
    )


def test_an_asserted_user_agrees_and_is_completed_by_the_same_id(asking, saas, person):
    one = asking(user_id="tenant-7:alice")
    first = one.ask(resourceOauth2ReturnUrl=WORLD["return_url"])
    parameters = back_at_the_app(first, person("alice"))
    complete = one.data.complete_resource_token_auth
    complete(userIdentifier={"userId": "tenant-7:alice"}, sessionUri=parameters["session_id"])
    assert saas.about(one.ask(sessionUri=first["sessionUri"])["accessToken"])["user"] == "alice"


def test_an_asserted_user_and_a_verified_one_of_that_name_are_two(asking, idp, workload, provider, person):
    name, to = workload(), provider()
    verified = asking("alice", name=name, to=to)
    parameters = back_at_the_app(verified.ask(resourceOauth2ReturnUrl=WORLD["return_url"]), person("alice"))
    verified.data.complete_resource_token_auth(userIdentifier={"userToken": idp.token("alice")}, sessionUri=parameters["session_id"])
    assert "accessToken" in verified.ask()
    asserted = asking(user_id="alice", name=name, to=to)
    assert "accessToken" not in asserted.ask(resourceOauth2ReturnUrl=WORLD["return_url"])


def test_no_user_and_no_workload_gets_the_grant_of_another(asking, idp, workload, provider, person):
    name, to = workload(), provider()
    alice = asking("alice", name=name, to=to)
    parameters = back_at_the_app(alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"]), person("alice"))
    alice.data.complete_resource_token_auth(userIdentifier={"userToken": idp.token("alice")}, sessionUri=parameters["session_id"])
    assert "accessToken" in asking("alice", name=name, to=to).ask()
    for other in (asking("bob", name=name, to=to), asking("alice", to=to), asking("alice", name=name)):
        assert "accessToken" not in other.ask(resourceOauth2ReturnUrl=WORLD["return_url"])


def test_forcing_asks_again_and_the_old_grant_serves_nobody(asking, idp, person):
    alice = asking("alice")

    def agree(**more):
        first = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"], **more)
        parameters = back_at_the_app(first, person("alice"))
        alice.data.complete_resource_token_auth(userIdentifier={"userToken": idp.token("alice")}, sessionUri=parameters["session_id"])
        return alice.ask(sessionUri=first["sessionUri"])["accessToken"]

    before = agree()
    forced = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"], forceAuthentication=True)
    assert "accessToken" not in forced and forced["authorizationUrl"]
    assert "accessToken" not in alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"]), "the old grant serves nobody"
    assert agree() != before


def test_a_session_is_polled_by_its_own_workload_and_user_alone(asking, workload, provider):
    name, to = workload(), provider()
    first = asking("alice", name=name, to=to).ask(resourceOauth2ReturnUrl=WORLD["return_url"])
    for other in (asking("bob", name=name, to=to), asking("alice", to=to)):
        other.refused(other.data.exceptions.ClientError, sessionUri=first["sessionUri"])


def test_a_return_url_that_is_not_on_the_list_is_refused(asking):
    one = asking("alice")
    error = one.refused(one.data.exceptions.ClientError, resourceOauth2ReturnUrl="https://elsewhere.example/back")
    assert error.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException")


def test_custom_parameters_add_and_never_override(asking, saas):
    one = asking("alice")
    for name in ("client_id", "redirect_uri", "state", "code_challenge", "scope", "response_type"):
        error = one.refused(
            one.data.exceptions.ClientError, resourceOauth2ReturnUrl=WORLD["return_url"], customParameters={name: "mine"}
        )
        assert error.response["Error"]["Code"] == "ValidationException", name


def test_federation_without_a_user_is_refused(asking):
    one = asking()
    error = one.refused(one.data.exceptions.ClientError, resourceOauth2ReturnUrl=WORLD["return_url"])
    assert error.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException")


def test_scopes_beyond_the_binding_and_workloads_without_one_are_refused(asking):
    bare = asking(prefix="bare")
    bare.refused(bare.data.exceptions.AccessDeniedException, "M2M")


def test_a_provider_that_is_not_there_is_not_found(asking):
    one = asking()
    one.refused(one.data.exceptions.ResourceNotFoundException, "M2M", resourceCredentialProviderName="nowhere")


def test_a_grant_that_the_provider_took_back_asks_the_user_again(asking, idp, saas, person):
    alice = asking("alice")
    first = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"])
    parameters = back_at_the_app(first, person("alice"))
    alice.data.complete_resource_token_auth(userIdentifier={"userToken": idp.token("alice")}, sessionUri=parameters["session_id"])
    assert "accessToken" in alice.ask()
    saas.control("revoke", client=alice.fixed["resourceCredentialProviderName"])
    again = alice.ask(resourceOauth2ReturnUrl=WORLD["return_url"], forceAuthentication=True)
    assert again["authorizationUrl"]
