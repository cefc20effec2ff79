"""What an operator does once: a workload identity, two credential providers. With boto3, as against AWS.

Reads `TEST_SAAS` and `TEST_CLIENT_SECRET`, which `cargo xtask up` prints; put your own third party's there instead, and
register the callback URL that this prints in its console.
"""

import json
import os
import urllib.request
import uuid
from pathlib import Path

import boto3

CALLBACK = os.environ.get("CALLBACK_URL", "http://127.0.0.1:8081/oauth2/callback")


def prepare(third_party, secret, user):
    control = boto3.client("bedrock-agentcore-control")
    workload = f"workload-{uuid.uuid4().hex[:8]}"
    control.create_workload_identity(name=workload, allowedResourceOauth2ReturnUrls=[CALLBACK])
    # Where the SDK looks for who it is on a laptop. It would make a workload of its own, without the return URL.
    Path(".agentcore.json").write_text(json.dumps({"workload_identity_name": workload, "user_id": user}))
    provider = control.create_oauth2_credential_provider(
        name="calendar",
        credentialProviderVendor="CustomOauth2",
        oauth2ProviderConfigInput={
            "customOauth2ProviderConfig": {
                "oauthDiscovery": {"discoveryUrl": f"{third_party}/.well-known/openid-configuration"},
                "clientId": "python-example",
                "clientSecret": secret,
            }
        },
    )
    control.create_api_key_credential_provider(name="weather", apiKey="weather-key-weather-key")
    # The test bed's console.
    client = {"python-example": {"client_secret": secret, "redirect_uris": [provider["callbackUrl"]]}}
    urllib.request.urlopen(f"{third_party}/__test/clients", json.dumps(client).encode(), timeout=20).close()
    return workload, provider["callbackUrl"]


if __name__ == "__main__":
    workload, callback = prepare(os.environ["TEST_SAAS"], os.environ["TEST_CLIENT_SECRET"], f"user-{uuid.uuid4().hex[:8]}")
    print(f"workload identity {workload}; the third party sends browsers to {callback}")
