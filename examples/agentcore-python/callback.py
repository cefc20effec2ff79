"""Where the browser comes back to: says who was there, and the grant is stored. AgentCore's starter toolkit brings the same.

A real application looks at its own session cookie here to know who is in front of it; on a laptop there is one user.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3


class Callback(BaseHTTPRequestHandler):
    def do_GET(self):
        session = parse_qs(urlsplit(self.path).query)["session_id"][0]
        user = json.loads(Path(".agentcore.json").read_text())["user_id"]
        boto3.client("bedrock-agentcore").complete_resource_token_auth(userIdentifier={"userId": user}, sessionUri=session)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Thank you; the agent goes on.\n")

    def log_message(self, *_):
        pass


def server(port):
    return HTTPServer(("127.0.0.1", port), Callback)


if __name__ == "__main__":
    server(int(os.environ.get("CALLBACK_PORT", "8081"))).serve_forever()
