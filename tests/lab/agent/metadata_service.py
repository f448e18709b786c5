"""A metadata service that runs inside one container: identity and role credentials, with a token only (IMDSv2).

Argument: the instance's id. The tests of instances cover the lab's own service; this one has only what the simulated
agent requests.
"""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

ADDRESS = "169.254.169.254"
ROLE = "latest/meta-data/iam/security-credentials/"
CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "ASIAFROMTHEROLE00000",
    "SecretAccessKey": "secret",
    "Token": "token",
    "LastUpdated": "2026-01-01T00:00:00Z",
    "Expiration": "2099-01-01T00:00:00Z",
}
ANSWERS = {
    "latest/meta-data/instance-id": sys.argv[1],
    ROLE: "fleet",
    ROLE + "fleet": json.dumps(CREDENTIALS),
}


class Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self._answer(200, "a-token")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "a-token":
            return self._answer(401, "")
        text = ANSWERS.get(self.path.lstrip("/"))
        return self._answer(404 if text is None else 200, text or "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
HTTPServer((ADDRESS, 80), Handler).serve_forever()
