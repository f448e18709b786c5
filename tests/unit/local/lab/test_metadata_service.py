"""The metadata service works as EC2 documents it: tokens, listings, 404 for unknown paths."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_gpu.local.lab.instances.metadata_service import Server, State, Tokens

PATHS = {
    "meta-data/instance-id": "i-1",
    "meta-data/iam/info": "{}",
    "meta-data/iam/security-credentials/inference": '{"Code": "Success"}',
    "meta-data/tags/instance/Cost Centre": "17",
    "user-data": "#!/bin/bash\necho Größe\n",
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "facts.json").write_text(json.dumps(PATHS))
    return tmp_path


@pytest.fixture
def service(state: Path) -> Iterator[http.client.HTTPConnection]:
    server = Server(("127.0.0.1", 0), State(state))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=5)  # type: ignore[arg-type]
    yield connection
    connection.close()
    server.shutdown()
    thread.join()
    server.server_close()


def ask(
    service: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    service.request(method, path, headers=headers or {})
    answer = service.getresponse()
    return answer.status, answer.read().decode()


def token(service: http.client.HTTPConnection) -> dict[str, str]:
    status, text = ask(service, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    assert status == 200
    return {"X-aws-ec2-metadata-token": text}


@pytest.mark.parametrize("headers", [None, {"X-aws-ec2-metadata-token": ""}, {"X-aws-ec2-metadata-token": "made-up"}])
def test_request_without_a_valid_token_is_refused(
    service: http.client.HTTPConnection, headers: dict[str, str] | None
) -> None:
    token(service)
    for path in ("/latest/meta-data/instance-id", "/latest/nothing", "/"):
        assert ask(service, "GET", path, headers) == (401, "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"X-aws-ec2-metadata-token-ttl-seconds": "0"}, 400),
        ({"X-aws-ec2-metadata-token-ttl-seconds": "21601"}, 400),
        ({"X-aws-ec2-metadata-token-ttl-seconds": "-1"}, 400),
        ({"X-aws-ec2-metadata-token-ttl-seconds": "60", "X-Forwarded-For": "10.0.0.1"}, 403),
    ],
)
def test_invalid_token_requests_fail_as_on_ec2(
    service: http.client.HTTPConnection, headers: dict[str, str], status: int
) -> None:
    assert ask(service, "PUT", "/latest/api/token", headers) == (status, "")


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/latest/meta-data/instance-id", (200, "i-1")),
        ("/2021-03-23/meta-data/instance-id", (200, "i-1")),
        ("/latest/user-data", (200, PATHS["user-data"])),
        ("/latest/meta-data/tags/instance/Cost%20Centre", (200, "17")),
        ("/latest/meta-data/", (200, "iam/\ninstance-id\ntags/")),
        ("/latest/meta-data/iam", (200, "info\nsecurity-credentials/")),
        ("/latest/meta-data/iam/security-credentials/", (200, "inference")),
        ("/latest", (200, "meta-data/\nuser-data")),
        ("/latest/meta-data/spot/instance-action", (404, "")),
        ("/latest/meta-data/instance", (404, "")),
        ("/latest/meta-data/instance-id/", (404, "")),
        ("/neverest/meta-data/instance-id", (404, "")),
        ("/", (404, "")),
    ],
)
def test_paths_and_listings_are_served_and_others_get_404(
    service: http.client.HTTPConnection, path: str, answer: tuple[int, str]
) -> None:
    assert ask(service, "GET", path, token(service)) == answer


def test_change_is_served_at_once_and_tokens_stay_valid(service: http.client.HTTPConnection, state: Path) -> None:
    known = token(service)
    path = "/latest/meta-data/spot/instance-action"
    assert ask(service, "GET", path, known)[0] == 404
    (state / "events.json").write_text(json.dumps({path.removeprefix("/latest/"): "soon"}))
    assert ask(service, "GET", path, known) == (200, "soon")
    assert ask(service, "GET", "/latest/meta-data/instance-id", known) == (200, "i-1")
    (state / "events.json").write_text("{}")
    assert ask(service, "GET", path, known)[0] == 404


def test_token_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("ollama_gpu.local.lab.instances.metadata_service.time.monotonic", lambda: now)
    tokens = Tokens()
    short, long = tokens.give(10), tokens.give(100)
    now = 1050.0
    assert not tokens.knows(short)
    assert tokens.knows(long)
