"""Workload identities: made, read, changed, listed, removed."""

import pytest
from conftest import WORLD, refused, unique


def test_a_workload_identity_lives_from_creation_to_deletion(control):
    name = unique("open")
    made = control.create_workload_identity(name=name, allowedResourceOauth2ReturnUrls=[WORLD["return_url"]])
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["name"] == name
    assert made["workloadIdentityArn"].endswith(f":workload-identity-directory/default/workload-identity/{name}")
    read = control.get_workload_identity(name=name)
    assert read["allowedResourceOauth2ReturnUrls"] == [WORLD["return_url"]]
    assert read["createdTime"] <= read["lastUpdatedTime"]
    other = "https://app.example/back"
    changed = control.update_workload_identity(name=name, allowedResourceOauth2ReturnUrls=[other])
    assert changed["allowedResourceOauth2ReturnUrls"] == [other]
    assert changed["createdTime"] == read["createdTime"]
    assert control.get_workload_identity(name=name)["allowedResourceOauth2ReturnUrls"] == [other]
    gone = control.delete_workload_identity(name=name)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(control.exceptions.ResourceNotFoundException, control.get_workload_identity, name=name)


def test_a_name_is_taken_once_and_case_does_not_make_another(control, workload):
    name = workload()
    refused(control.exceptions.ConflictException, control.create_workload_identity, name=name)
    refused(control.exceptions.ConflictException, control.create_workload_identity, name=name.upper())


@pytest.mark.parametrize("operation", ["get_workload_identity", "update_workload_identity", "delete_workload_identity"])
def test_what_is_not_there_is_not_found(control, operation):
    refused(control.exceptions.ResourceNotFoundException, getattr(control, operation), name=unique("open"))


def test_names_may_have_every_character_that_the_model_allows(control, workload):
    name = unique("open.A_b-")
    control.create_workload_identity(name=name)
    assert control.get_workload_identity(name=name)["name"] == name
    control.delete_workload_identity(name=name)


def test_the_paginator_walks_all_of_them_once(control, workload):
    names = {workload() for _ in range(23)}
    pages = list(control.get_paginator("list_workload_identities").paginate(PaginationConfig={"PageSize": 7}))
    assert all(len(page["workloadIdentities"]) <= 7 for page in pages)
    listed = [entry["name"] for page in pages for entry in page["workloadIdentities"]]
    assert len(listed) == len(set(listed)), "nobody is listed twice"
    assert names <= set(listed)
    assert len(control.list_workload_identities()["workloadIdentities"]) <= 20, "a page has twenty at most"


def test_a_page_token_that_nobody_gave_is_refused(control):
    refused(control.exceptions.ValidationException, control.list_workload_identities, nextToken="made-up")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_a_return_url_that_runs_code_is_refused(control, url):
    refused(
        control.exceptions.ValidationException,
        control.create_workload_identity,
        name=unique("open"),
        allowedResourceOauth2ReturnUrls=[url],
    )


def test_deployed_agents_are_listed_with_a_workload_identity_of_their_own(control):
    found = control.get_workload_identity(name=WORLD["agent"])
    assert found["name"] == WORLD["agent"]
