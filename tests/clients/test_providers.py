"""OAuth2 credential providers: made, read, changed, listed, removed; and what is refused at creation."""

import re

import pytest
from bed import SECRET
from conftest import refused, unique

# Vendors that need nothing but a client, and the member of the union that carries it.
PLAIN = {
    "GoogleOauth2": "googleOauth2ProviderConfig",
    "GithubOauth2": "githubOauth2ProviderConfig",
    "SlackOauth2": "slackOauth2ProviderConfig",
    "SalesforceOauth2": "salesforceOauth2ProviderConfig",
    "AtlassianOauth2": "atlassianOauth2ProviderConfig",
    "LinkedinOauth2": "linkedinOauth2ProviderConfig",
    **dict.fromkeys(
        ("XOauth2", "FacebookOauth2", "YandexOauth2", "RedditOauth2", "ZoomOauth2", "TwitchOauth2", "SpotifyOauth2",
         "DropboxOauth2", "NotionOauth2", "HubspotOauth2"),
        "includedOauth2ProviderConfig",
    ),
}
# Vendors whose every customer has an issuer of its own.
TENANTS = ("OktaOauth2", "OneLoginOauth2", "PingOneOauth2", "CyberArkOauth2", "FusionAuthOauth2", "Auth0Oauth2", "CognitoOauth2")


def create(control, name, vendor, member, config):
    return control.create_oauth2_credential_provider(
        name=name, credentialProviderVendor=vendor, oauth2ProviderConfigInput={member: config}
    )


def test_a_provider_lives_from_creation_to_deletion(control, provider, saas):
    name = provider()
    read = control.get_oauth2_credential_provider(name=name)
    assert read["credentialProviderVendor"] == "CustomOauth2"
    assert read["credentialProviderArn"].endswith(f":token-vault/default/oauth2credentialprovider/{name}")
    assert read["callbackUrl"].endswith(name)
    assert read["clientSecretArn"]["secretArn"]
    custom = read["oauth2ProviderConfigOutput"]["customOauth2ProviderConfig"]
    assert custom["clientId"] == name
    assert custom["oauthDiscovery"]["discoveryUrl"].startswith(saas.url)
    assert SECRET not in str(read), "no secret is ever read back"
    changed = control.update_oauth2_credential_provider(
        name=name,
        credentialProviderVendor="CustomOauth2",
        oauth2ProviderConfigInput={
            "customOauth2ProviderConfig": {
                "oauthDiscovery": {"discoveryUrl": f"{saas.url}/.well-known/openid-configuration"},
                "clientId": "attache",
                "clientSecret": "another-secret",
            }
        },
    )
    assert changed["oauth2ProviderConfigOutput"]["customOauth2ProviderConfig"]["clientId"] == "attache"
    assert changed["createdTime"] == read["createdTime"] and changed["lastUpdatedTime"] >= read["lastUpdatedTime"]
    assert "another-secret" not in str(changed)
    gone = control.delete_oauth2_credential_provider(name=name)
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused(control.exceptions.ResourceNotFoundException, control.get_oauth2_credential_provider, name=name)


def test_two_providers_have_two_callbacks(control, provider):
    urls = {control.get_oauth2_credential_provider(name=provider())["callbackUrl"] for _ in range(2)}
    assert len(urls) == 2


def test_a_change_of_the_client_counts_at_once(control, data, workload, provider, saas):
    name = provider()
    token = data.get_workload_access_token(workloadName=workload())["workloadAccessToken"]
    ask = {"workloadIdentityToken": token, "resourceCredentialProviderName": name, "scopes": ["calendar.read"], "oauth2Flow": "M2M"}
    first = data.get_resource_oauth2_token(**ask)["accessToken"]
    assert saas.about(first)["client"] == name
    control.update_oauth2_credential_provider(
        name=name,
        credentialProviderVendor="CustomOauth2",
        oauth2ProviderConfigInput={
            "customOauth2ProviderConfig": {
                "oauthDiscovery": {"discoveryUrl": f"{saas.url}/.well-known/openid-configuration"},
                "clientId": "attache",
                "clientSecret": "attache-secret-attache-secret",
            }
        },
    )
    assert saas.about(data.get_resource_oauth2_token(**ask)["accessToken"])["client"] == "attache"
    control.delete_oauth2_credential_provider(name=name)
    refused(data.exceptions.ResourceNotFoundException, data.get_resource_oauth2_token, **ask)


@pytest.mark.parametrize("vendor", PLAIN)
def test_a_vendor_needs_a_client_and_no_more(control, vendor):
    name = unique("vendor")
    made = create(control, name, vendor, PLAIN[vendor], {"clientId": "id", "clientSecret": "secret"})
    try:
        assert made["callbackUrl"]
        read = control.get_oauth2_credential_provider(name=name)
        assert read["credentialProviderVendor"] == vendor
        (output,) = read["oauth2ProviderConfigOutput"].values()
        metadata = output["oauthDiscovery"].get("authorizationServerMetadata", {})
        assert "discoveryUrl" in output["oauthDiscovery"] or metadata["tokenEndpoint"].startswith("https://")
    finally:
        control.delete_oauth2_credential_provider(name=name)


@pytest.mark.parametrize("vendor", TENANTS)
def test_a_vendor_that_wants_a_tenant_and_got_none_is_refused(control, vendor):
    error = refused(
        control.exceptions.ValidationException,
        control.create_oauth2_credential_provider,
        name=unique("vendor"),
        credentialProviderVendor=vendor,
        oauth2ProviderConfigInput={"includedOauth2ProviderConfig": {"clientId": "id", "clientSecret": "secret"}},
    )
    assert re.search("issuer|Endpoint|tenant", error.response["Error"]["Message"]), error


@pytest.mark.parametrize("vendor", TENANTS)
def test_a_vendor_is_told_whose_it_is_by_its_endpoints(control, vendor):
    name = unique("vendor")
    made = create(
        control,
        name,
        vendor,
        "includedOauth2ProviderConfig",
        {
            "clientId": "id",
            "clientSecret": "secret",
            "issuer": "https://acme.example",
            "authorizationEndpoint": "https://acme.example/authorize",
            "tokenEndpoint": "https://acme.example/token",
        },
    )
    try:
        output = made["oauth2ProviderConfigOutput"]["includedOauth2ProviderConfig"]
        assert output["oauthDiscovery"]["authorizationServerMetadata"]["tokenEndpoint"] == "https://acme.example/token"
    finally:
        control.delete_oauth2_credential_provider(name=name)


def half(saas, **config):
    full = {"oauthDiscovery": {"discoveryUrl": f"{saas.url}/.well-known/openid-configuration"}, "clientId": "id", "clientSecret": "s", **config}
    return {"customOauth2ProviderConfig": {name: value for name, value in full.items() if value is not None}}


@pytest.mark.parametrize(
    "config",
    [
        {"clientSecret": None},
        {"clientId": None},
        {"clientAuthenticationMethod": "PRIVATE_KEY_JWT", "clientSecret": None},
        {"clientSecretSource": "EXTERNAL", "clientSecret": None},
    ],
    ids=["no secret", "no client", "no key", "no external secret"],
)
def test_what_is_half_configured_is_told_at_creation(control, saas, config):
    refused(
        control.exceptions.ValidationException,
        control.create_oauth2_credential_provider,
        name=unique("half"),
        credentialProviderVendor="CustomOauth2",
        oauth2ProviderConfigInput=half(saas, **config),
    )


def test_a_vendor_with_the_configuration_of_another_is_refused(control, saas):
    refused(
        control.exceptions.ValidationException,
        control.create_oauth2_credential_provider,
        name=unique("other"),
        credentialProviderVendor="GithubOauth2",
        oauth2ProviderConfigInput=half(saas),
    )


@pytest.mark.parametrize("lie", ["document-other-issuer", "document-no-token-endpoint", "document-html", "document-503", "document-redirect", "document-giant"])
def test_a_discovery_document_that_lies_is_told_at_creation(control, world, lie):
    refused(
        control.exceptions.ValidationException,
        control.create_oauth2_credential_provider,
        name=unique("lie"),
        credentialProviderVendor="CustomOauth2",
        oauth2ProviderConfigInput={
            "customOauth2ProviderConfig": {
                "oauthDiscovery": {"discoveryUrl": f"{world['liar']}/{lie}/.well-known/openid-configuration"},
                "clientId": "id",
                "clientSecret": "s",
            }
        },
    )


def test_static_metadata_does_without_discovery(control, data, workload, saas):
    name = unique("static")
    create(
        control,
        name,
        "CustomOauth2",
        "customOauth2ProviderConfig",
        {
            "oauthDiscovery": {
                "authorizationServerMetadata": {
                    "issuer": saas.url,
                    "authorizationEndpoint": f"{saas.url}/auth",
                    "tokenEndpoint": f"{saas.url}/token",
                    "tokenEndpointAuthMethods": ["client_secret_post"],
                }
            },
            "clientId": "attache-post",
            "clientSecret": "attache-secret-attache-secret",
        },
    )
    try:
        token = data.get_workload_access_token(workloadName=workload())["workloadAccessToken"]
        answer = data.get_resource_oauth2_token(
            workloadIdentityToken=token, resourceCredentialProviderName=name, scopes=["calendar.read"], oauth2Flow="M2M"
        )
        assert saas.about(answer["accessToken"])["client"] == "attache-post"
    finally:
        control.delete_oauth2_credential_provider(name=name)


def test_the_hosts_own_word_for_a_workload_is_a_client_credential(data, workload, provider, saas):
    to = provider(clientId="attache-workload", clientSecret="", clientAuthenticationMethod="AWS_IAM_ID_TOKEN_JWT")
    name = workload()
    token = data.get_workload_access_token(workloadName=name)["workloadAccessToken"]
    answer = data.get_resource_oauth2_token(
        workloadIdentityToken=token, resourceCredentialProviderName=to, scopes=["calendar.read"], oauth2Flow="M2M"
    )
    assert saas.about(answer["accessToken"])["client"] == "attache-workload"
    assert saas.control("stats")["assertions"][-1]["sub"].endswith(f"/{name}")


def test_the_paginator_walks_all_of_them_once(control, provider):
    names = {provider() for _ in range(5)}
    pages = control.get_paginator("list_oauth2_credential_providers").paginate(PaginationConfig={"PageSize": 2})
    listed = [entry["name"] for page in pages for entry in page["credentialProviders"]]
    assert len(listed) == len(set(listed)) and names <= set(listed)


def test_a_name_is_taken_once(control, provider, saas):
    refused(
        control.exceptions.ConflictException,
        control.create_oauth2_credential_provider,
        name=provider(),
        credentialProviderVendor="CustomOauth2",
        oauth2ProviderConfigInput=half(saas),
    )
