"""An agent for Amazon Bedrock AgentCore, as its documentation writes one: nothing in here knows of Attaché.

Run it (`python agent.py`) and call it: `curl -d '{"day": "2026-11-24"}' http://127.0.0.1:8080/invocations`.
"""

import json
import os
import urllib.request

from bedrock_agentcore.identity.auth import requires_access_token, requires_api_key
from bedrock_agentcore.runtime import BedrockAgentCoreApp

CALENDAR = os.environ.get("CALENDAR_URL", "https://www.googleapis.com")
WEATHER = os.environ.get("WEATHER_URL", "https://weather.example")
CALLBACK = os.environ.get("CALLBACK_URL", "http://127.0.0.1:8081/oauth2/callback")

app = BedrockAgentCoreApp()


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return json.load(answer)


@requires_access_token(
    provider_name="calendar",
    scopes=["calendar.read"],
    auth_flow="USER_FEDERATION",
    on_auth_url=lambda url: print(f"Open this and agree: {url}", flush=True),
    callback_url=CALLBACK,
)
async def events(day, *, access_token):
    found = fetch(
        f"{CALENDAR}/calendar/v3/calendars/primary/events?timeMin={day}T00:00:00Z&timeMax={day}T23:59:59Z",
        authorization=f"Bearer {access_token}",
    )
    return [event["summary"] for event in found["items"]]


@requires_api_key(provider_name="weather")
async def sky(*, api_key):
    return fetch(f"{WEATHER}/weather", **{"x-api-key": api_key})["sky"]


@app.entrypoint
async def invoke(payload):
    return {"events": await events(payload["day"]), "sky": await sky()}


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8080")))
