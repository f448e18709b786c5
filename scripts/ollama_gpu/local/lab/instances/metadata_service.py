"""The instance metadata service (IMDSv2) of one instance of the lab, the only program of its container.

Amazon's amazon-ec2-metadata-mock is not sufficient: it has no dated versions, which are all that cloud-init requests,
and it needs a restart, which invalidates every token, to take a spot notice or a new lifecycle state.

The service reads the JSON files in its state folder. Each maps paths such as ``meta-data/instance-id`` to texts, and
is only ever replaced as a whole. A path in no file gets 404. The program needs Python's standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

ADDRESS = "169.254.169.254"
LONGEST_SECONDS = 21600
_VERSION = re.compile(r"latest|\d{4}-\d{2}-\d{2}")
_TTL = "X-aws-ec2-metadata-token-ttl-seconds"
_TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name


class State:
    """The paths of all files, read again for every request: the files are few and in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, path: str) -> str | None:
        """Return the text at a path, or the listing of the paths below it; None if there is neither."""
        values = self._values()
        if path in values and not path.endswith("/"):
            return values[path]
        folder = f"{path.strip('/')}/".lstrip("/")
        below = (name.removeprefix(folder) for name in values if name.startswith(folder))
        names = {head + ("/" if rest else "") for head, rest, _ in (name.partition("/") for name in below)}
        return "\n".join(sorted(names)) or None

    def _values(self) -> dict[str, str]:
        values: dict[str, str] = {}
        for file in sorted(self._folder.glob("*.json")):
            values |= json.loads(file.read_text(encoding="utf-8"))
        return values


class Tokens:
    """The issued tokens that have not expired."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def give(self, seconds: int) -> str:
        now = time.monotonic()
        self._until = {token: until for token, until in self._until.items() if until > now}
        token = secrets.token_urlsafe(40)
        self._until[token] = now + seconds
        return token

    def knows(self, token: str) -> bool:
        return self._until.get(token, 0) > time.monotonic()


class Handler(BaseHTTPRequestHandler):
    """Handles requests as EC2 documents it: PUT returns a token, GET with a token returns everything else."""

    server: Server
    server_version = "EC2ws"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_PUT(self) -> None:
        seconds = self.headers.get(_TTL, "")
        if self.path != "/latest/api/token":
            self._answer(404)
        elif self.headers.get("X-Forwarded-For"):
            self._answer(403)
        elif not seconds.isdigit() or not 1 <= int(seconds) <= LONGEST_SECONDS:
            self._answer(400)
        else:
            self._answer(200, self.server.tokens.give(int(seconds)), {_TTL: seconds})

    def do_GET(self) -> None:
        if not self.server.tokens.knows(self.headers.get(_TOKEN, "")):
            self._answer(401)
            return
        _, version, path = f"{unquote(self.path)}/".split("/", 2)
        found = None
        if _VERSION.fullmatch(version):
            found = self.server.state.find(path.removesuffix("/"))
        self._answer(404 if found is None else 200, found or "")

    def _answer(self, status: int, text: str = "", headers: dict[str, str] | None = None) -> None:
        body = text.encode("utf-8", "surrogateescape")
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Log nothing: every instance sends several requests a second."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.state = state
        self.tokens = Tokens()
        super().__init__(address, Handler)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("state", type=Path)
    given = parser.parse_args(arguments)
    subprocess.run(["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
    given.state.mkdir(parents=True, exist_ok=True)
    Server((ADDRESS, 80), State(given.state)).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
