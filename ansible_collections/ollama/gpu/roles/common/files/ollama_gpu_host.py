"""Helpers that the host programs of this collection share.

Role `common` installs this module in /usr/local/lib/ollama-gpu. It runs under the host's /usr/bin/python3: Python 3.9
or newer and the standard library. Only `aws_client` needs boto3.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HAPROXY_SECONDS = 5


class HttpError(OSError):
    """An HTTP answer with an error status. `text` is the beginning of its body."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(f"status {status}: {text}")
        self.status = status
        self.reason = reason
        self.text = text


def http(
    url: str, body: Any = None, seconds: float = 60, method: str | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """Return the body of an HTTP answer, without using a proxy. Raises HttpError, or OSError without an answer.

    `body` is sent as JSON. `seconds` limits each read, not the whole request.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)  # noqa: S310 - callers pass http addresses
    if data is not None:
        request.add_header("Content-Type", "application/json")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds) as response:
            content: bytes = response.read()
            return content
    except urllib.error.HTTPError as error:
        text = error.read(200).decode(errors="replace").strip()
        raise HttpError(error.code, str(error.reason), text) from error


def haproxy(path: str, command: str) -> str:
    """Run a command on HAProxy's admin socket and return its output. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(HAPROXY_SECONDS)
        connection.connect(path)
        connection.sendall(command.encode() + b"\n")
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer.decode(errors="replace").strip()


def aws_client(service: str, instance: Mapping[str, Any], attempts: int, **limits: float) -> Any:
    """Return a boto3 client for the region in the instance's description. `limits` are botocore's timeouts."""
    import boto3
    from botocore.config import Config

    # boto3 before 1.28 does not read AWS_ENDPOINT_URL itself
    endpoint = instance.get("endpoint_url") or os.environ.get("AWS_ENDPOINT_URL") or None
    config = Config(retries={"max_attempts": attempts, "mode": "standard"}, **limits)
    create: Any = boto3.client  # the type stubs know only constant service names
    return create(service, region_name=instance["region"], endpoint_url=endpoint, config=config)


def write_atomically(file: Path, text: str) -> None:
    """Replace a file in one step. Every user of the host can read it."""
    partial = file.with_name(f".{file.name}.new")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o644)
    partial.replace(file)


def read_models(file: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the models that this host serves, and the same with those that it served before.

    Ollama lists a process under the name that first loaded it, even when only another name of the same weights is
    still served. Raises OSError, ValueError, KeyError and TypeError.
    """
    found = json.loads(file.read_text(encoding="utf-8"))
    return found["models"], [*found.get("formerly", []), *found["models"]]


def full_name(name: str) -> str:
    """Return a model's name with its tag, as Ollama lists it."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def weights_of(model: Mapping[str, Any]) -> str:
    """Return the key of a model's process: two names of the same weights share one process of Ollama."""
    return str(model.get("weights") or model["digest"])


def sha256_of(content: bytes) -> str:
    """Return a digest as Ollama writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def log(program: str, step: str, result: str, cause: str = "", **figures: object) -> None:
    """Print one line for the journal."""
    parts = [f"step={step}", f"result={result}", *(f"{name}={value}" for name, value in figures.items())]
    print(f"{program}: " + " ".join(parts) + (f' cause="{cause}"' if cause else ""), flush=True)
