"""API-key credential providers, and the keys that workloads get from them."""

import pytest
from conftest import refused, unique


@pytest.fixture
def weather(control):
    name = unique("weather")
    control.create_api_key_credential_provider(name=name, apiKey="key-number-one")
    yield name
    try:
        control.delete_api_key_credential_provider(name=name)
    except control.exceptions.ResourceNotFoundException:
        pass


def wat(data, name):
    return data.get_workload_access_token(workloadName=name)["workloadAccessToken"]


def test_a_key_is_kept_given_out_and_rotated_without_being_shown(control, data, workload, weather):
    read = control.get_api_key_credential_provider(name=weather)
    assert read["apiKeySecretArn"]["secretArn"] and read["credentialProviderArn"].endswith(f"/apikeycredentialprovider/{weather}")
    assert "key-number-one" not in str(read)
    token = wat(data, workload())
    ask = {"workloadIdentityToken": token, "resourceCredentialProviderName": weather}
    assert data.get_resource_api_key(**ask)["apiKey"] == "key-number-one"
    changed = control.update_api_key_credential_provider(name=weather, apiKey="key-number-two")
    assert changed["createdTime"] <= changed["lastUpdatedTime"]
    assert data.get_resource_api_key(**ask)["apiKey"] == "key-number-two", "the next call has the new key"
    control.delete_api_key_credential_provider(name=weather)
    refused(data.exceptions.ResourceNotFoundException, data.get_resource_api_key, **ask)
    refused(control.exceptions.ResourceNotFoundException, control.get_api_key_credential_provider, name=weather)


def test_a_workload_without_a_binding_gets_no_key(data, workload, weather):
    refused(
        data.exceptions.AccessDeniedException,
        data.get_resource_api_key,
        workloadIdentityToken=wat(data, workload("bare")),
        resourceCredentialProviderName=weather,
    )


def test_a_token_that_nobody_minted_gets_no_key(data, weather):
    error = refused(
        data.exceptions.ClientError,
        data.get_resource_api_key,
        workloadIdentityToken="made-up",
        resourceCredentialProviderName=weather,
    )
    assert error.response["Error"]["Code"] in ("UnauthorizedException", "AccessDeniedException")


def test_names_are_taken_once_over_both_kinds(control, provider, weather):
    refused(control.exceptions.ConflictException, control.create_api_key_credential_provider, name=weather, apiKey="x")
    refused(control.exceptions.ConflictException, control.create_api_key_credential_provider, name=provider(), apiKey="x")


def test_a_provider_of_the_other_kind_has_no_key(data, workload, provider):
    error = refused(
        data.exceptions.ClientError,
        data.get_resource_api_key,
        workloadIdentityToken=wat(data, workload()),
        resourceCredentialProviderName=provider(),
    )
    assert error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFoundException")


def test_the_paginator_walks_all_of_them_once(control):
    names = [unique("paged") for _ in range(12)]
    try:
        for name in names:
            control.create_api_key_credential_provider(name=name, apiKey="x")
        pages = control.get_paginator("list_api_key_credential_providers").paginate(PaginationConfig={"PageSize": 5})
        listed = [entry["name"] for page in pages for entry in page["credentialProviders"]]
        assert len(listed) == len(set(listed)) and set(names) <= set(listed)
    finally:
        for name in names:
            control.delete_api_key_credential_provider(name=name)
