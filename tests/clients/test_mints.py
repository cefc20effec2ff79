"""The three ways to a workload access token, each refused where it must be."""

from conftest import WORLD, client, refused, unique


def test_each_mint_gives_an_opaque_token_and_never_the_same(data, idp, workload):
    name = workload()
    first = data.get_workload_access_token(workloadName=name)["workloadAccessToken"]
    second = data.get_workload_access_token(workloadName=name)["workloadAccessToken"]
    third = data.get_workload_access_token_for_jwt(workloadName=name, userToken=idp.token("alice"))["workloadAccessToken"]
    fourth = data.get_workload_access_token_for_user_id(workloadName=name, userId="alice-7")["workloadAccessToken"]
    assert len({first, second, third, fourth}) == 4
    assert all("alice" not in token and name not in token for token in (first, second, third, fourth))


def test_a_users_token_counts_only_when_it_verifies(data, idp, workload):
    name = workload()
    mint = data.get_workload_access_token_for_jwt
    good = idp.token("alice")
    head, payload, signature = good.split(".")
    for bad in (
        idp.token("alice", expires_in=-120),
        idp.token("alice", audience="https://somebody-else.example/"),
        f"{head}.{payload}.{('A' if signature[0] != 'A' else 'B') + signature[1:]}",
        "not.a.token",
    ):
        error = refused(data.exceptions.ClientError, mint, workloadName=name, userToken=bad)
        assert error.response["Error"]["Code"] in ("UnauthorizedException", "AccessDeniedException", "ValidationException")


def test_a_users_id_counts_only_where_the_operator_turned_it_on(data, workload):
    refused(
        data.exceptions.AccessDeniedException,
        data.get_workload_access_token_for_user_id,
        workloadName=workload("strict"),
        userId="alice",
    )


def test_a_workload_that_knows_no_issuer_mints_for_no_user(data, idp, workload):
    refused(
        data.exceptions.AccessDeniedException,
        data.get_workload_access_token_for_jwt,
        workloadName=workload("bare"),
        userToken=idp.token("alice"),
    )


def test_a_workload_that_is_not_there_mints_nothing(data):
    refused(data.exceptions.ResourceNotFoundException, data.get_workload_access_token, workloadName=unique("open"))


def test_a_deployed_agents_identity_is_the_hosts_and_mints_for_nobody_else(data, idp):
    for mint, more in (
        (data.get_workload_access_token, {}),
        (data.get_workload_access_token_for_jwt, {"userToken": idp.token("alice")}),
        (data.get_workload_access_token_for_user_id, {"userId": "alice"}),
    ):
        error = refused(data.exceptions.AccessDeniedException, mint, workloadName=WORLD["agent"], **more)
        assert "linked to a service" in error.response["Error"]["Message"]


def test_a_removed_workloads_token_is_worth_nothing(control, data, workload):
    name = workload()
    token = data.get_workload_access_token(workloadName=name)["workloadAccessToken"]
    control.delete_workload_identity(name=name)
    error = refused(
        data.exceptions.ClientError,
        data.get_resource_api_key,
        workloadIdentityToken=token,
        resourceCredentialProviderName="weather",
    )
    assert error.response["Error"]["Code"] in ("UnauthorizedException", "AccessDeniedException", "ResourceNotFoundException")


def test_a_workloads_key_is_for_its_own_workloads_and_operations(control, workload):
    key = WORLD["runtime_key"]
    mine, theirs = workload("own"), workload("open")
    data = client("bedrock-agentcore", key)
    assert data.get_workload_access_token(workloadName=mine)["workloadAccessToken"]
    refused(data.exceptions.AccessDeniedException, data.get_workload_access_token, workloadName=theirs)
    control = client("bedrock-agentcore-control", key)
    for call, arguments in (
        (control.create_workload_identity, {"name": unique("own")}),
        (control.delete_workload_identity, {"name": mine}),
        (control.create_api_key_credential_provider, {"name": unique("key"), "apiKey": "x"}),
        (control.get_token_vault, {}),
    ):
        refused(control.exceptions.AccessDeniedException, call, **arguments)
