"""The test bed, as far as these tests ask it for something. `tests/testbed/controls.mjs` says what there is."""

import json
import urllib.request


class Service:
    """One provider of the test bed."""

    def __init__(self, url):
        self.url = url

    def control(self, name, **body):
        request = urllib.request.Request(f"{self.url}/__test/{name}", json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def token(self, user, **wishes):
        """A user's access token for agents, signed without any page."""
        return self.control("token", user=user, **wishes)["access_token"]

    def about(self, token):
        """What the third party knows about one of its access tokens; None where it is no good."""
        request = urllib.request.Request(f"{self.url}/about", headers={"authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            return None

    def answered(self, grant):
        """How many requests of this grant type got a token."""
        return self.control("stats")["token_requests"].get(grant, 0)

    def client(self, client_id, callback_url=None, **metadata):
        """Registers a client, and where browsers may be sent back to for it."""
        uris = {"redirect_uris": [callback_url]} if callback_url else {}
        self.control("clients", **{client_id: {"client_secret": SECRET, **uris, **metadata}})


SECRET = "python-secret-python-secret"
