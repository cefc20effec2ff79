"""The token vault's key, and tags."""

import pytest
from conftest import refused, unique


def test_the_vault_says_which_key_it_is_sealed_with(control):
    for vault in (control.get_token_vault(), control.get_token_vault(tokenVaultId="default")):
        assert vault["tokenVaultId"] == "default"
        assert vault["kmsConfiguration"]["keyType"] in ("ServiceManagedKey", "CustomerManagedKey")
        assert vault["lastModifiedDate"]


def test_another_vault_is_not_found(control):
    refused(control.exceptions.ResourceNotFoundException, control.get_token_vault, tokenVaultId="another")


def test_a_new_key_opens_what_the_old_one_sealed(control, data, workload, provider, saas):
    token = data.get_workload_access_token(workloadName=workload())["workloadAccessToken"]
    ask = {"workloadIdentityToken": token, "resourceCredentialProviderName": provider(), "scopes": ["calendar.read"], "oauth2Flow": "M2M"}
    assert data.get_resource_oauth2_token(**ask)["accessToken"]
    before = control.get_token_vault()["lastModifiedDate"]
    set_to = control.set_token_vault_cmk(kmsConfiguration={"keyType": "ServiceManagedKey"})
    assert set_to["kmsConfiguration"]["keyType"] == "ServiceManagedKey"
    assert control.get_token_vault()["lastModifiedDate"] >= before
    assert data.get_resource_oauth2_token(**ask)["accessToken"]


def test_a_key_that_the_host_does_not_have_is_refused(control):
    arn = f"arn:aws:kms:us-east-1:123456789012:key/{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}"
    error = refused(
        control.exceptions.ClientError,
        control.set_token_vault_cmk,
        kmsConfiguration={"keyType": "CustomerManagedKey", "kmsKeyArn": arn},
    )
    assert error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFoundException")


def test_tags_are_put_on_read_and_taken_off(control, workload, provider):
    key = unique("tagged")
    made = control.create_api_key_credential_provider(name=key, apiKey="x", tags={"team": "planning"})
    arns = [
        control.get_workload_identity(name=workload())["workloadIdentityArn"],
        control.get_oauth2_credential_provider(name=provider())["credentialProviderArn"],
        made["credentialProviderArn"],
    ]
    assert control.list_tags_for_resource(resourceArn=arns[2])["tags"] == {"team": "planning"}
    for arn in arns:
        control.tag_resource(resourceArn=arn, tags={"stage": "test", "cost centre": "7/a"})
        assert control.list_tags_for_resource(resourceArn=arn)["tags"].items() >= {"stage": "test", "cost centre": "7/a"}.items()
        control.tag_resource(resourceArn=arn, tags={"stage": "live"})
        assert control.list_tags_for_resource(resourceArn=arn)["tags"]["stage"] == "live"
        control.untag_resource(resourceArn=arn, tagKeys=["stage", "cost centre"])
        assert not {"stage", "cost centre"} & set(control.list_tags_for_resource(resourceArn=arn)["tags"])
    control.delete_api_key_credential_provider(name=key)


def test_a_workload_is_born_with_tags(control, workload):
    name = workload(tags={"owner": "alice@example.test"})
    arn = control.get_workload_identity(name=name)["workloadIdentityArn"]
    assert control.list_tags_for_resource(resourceArn=arn)["tags"] == {"owner": "alice@example.test"}


def test_more_than_fifty_tags_are_refused(control, workload):
    arn = control.get_workload_identity(name=workload())["workloadIdentityArn"]
    control.tag_resource(resourceArn=arn, tags={f"key-{n}": "x" for n in range(50)})
    error = refused(control.exceptions.ClientError, control.tag_resource, resourceArn=arn, tags={"one-more": "x"})
    assert error.response["Error"]["Code"] in ("ServiceQuotaExceededException", "ValidationException")


@pytest.mark.parametrize("name", ["nobody", "open-nobody-there"])
def test_tags_of_nothing_are_not_found(control, workload, name):
    arn = control.get_workload_identity(name=workload())["workloadIdentityArn"]
    refused(
        control.exceptions.ResourceNotFoundException,
        control.list_tags_for_resource,
        resourceArn=f"{arn.rpartition('/')[0]}/{name}",
    )
