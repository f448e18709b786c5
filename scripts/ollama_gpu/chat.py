"""The main job, tried as a user would: sign in at the front door and get an answer from a model."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from ollama_gpu.errors import UserError

QUESTION = "The capital of France is"
_TOKENS = 24
_SECONDS = 120.0  # a first chat may wait for a slot


@dataclass(frozen=True)
class Door:
    """``url`` is where users go; ``authority`` a certificate to trust besides the system's; ``direct``: by no proxy."""

    url: str
    authority: Path | None = None
    direct: bool = False


@dataclass(frozen=True)
class Chat:
    """A chat that went well. ``first_token_ms`` is what the user waited for the first piece of the answer."""

    url: str
    model: str
    answer: str
    first_token_ms: float
    total_ms: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def chat(door: Door, administrator: dict[str, str]) -> Chat:
    """Sign in as the first administrator and ask the first model a question, streamed.

    Raises UserError with what the front door said when any of it fails.
    """
    account = {"email": administrator["email"], "password": administrator["password"]}
    token = json.loads(_read(door, "/api/v1/auths/signin", account))["token"]
    models = [model["id"] for model in json.loads(_read(door, "/api/models", None, token))["data"]]
    if not models:
        raise UserError(
            f"{door.url} offers no model.",
            "Publish a set with make models PUBLISH=NAME: instances take it within a minute or two.",
        )
    body = {
        "model": models[0],
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "max_tokens": _TOKENS,
    }
    began = time.monotonic()
    first, pieces = 0.0, []
    for piece in _pieces(_lines(door, "/api/chat/completions", body, token)):
        first = first or time.monotonic()
        pieces.append(piece)
    answer = "".join(pieces).strip()
    if not answer:
        raise UserError(f"{models[0]} at {door.url} answered nothing.", "Read the gateway's log: make status.")
    ended = time.monotonic()
    return Chat(door.url, models[0], answer, round((first - began) * 1000, 1), round((ended - began) * 1000, 1))


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """The text in a stream of server-sent events, as they come."""
    for line in lines:
        said = line.removeprefix("data:").strip()
        if not line.startswith("data:") or said == "[DONE]":
            continue
        event = json.loads(said)
        if "error" in event:
            raise UserError(f"The model refused: {event['error']}.", "Read the gateway's log: make status.")
        for choice in event.get("choices", []):
            if text := choice.get("delta", {}).get("content"):
                yield text


def _read(door: Door, path: str, body: dict[str, Any] | None, token: str = "") -> str:
    return "\n".join(_lines(door, path, body, token))


def _lines(door: Door, path: str, body: dict[str, Any] | None, token: str = "") -> Iterator[str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = Request(door.url + path, data, headers)  # noqa: S310, an https address of our own
    try:
        with opener(door).open(request, timeout=_SECONDS) as answer:
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
    except HTTPError as error:
        said = error.read(2000).decode("utf-8", "replace").strip()
        raise UserError(f"{door.url}{path} answered {error.code}: {said}", "Look at it with: make status") from error
    except (URLError, HTTPException, OSError) as error:
        cause = getattr(error, "reason", error)
        raise UserError(f"{door.url}{path} cannot be reached: {cause}", "Look at it with: make status") from error


def opener(door: Door) -> Any:
    """Opens requests to a front door: trusts its authority, goes by no proxy where that is said."""
    trust = ssl.create_default_context()
    if door.authority is not None:
        trust.load_verify_locations(door.authority)
    handlers: list[Any] = [HTTPSHandler(context=trust)]
    return build_opener(*handlers, *([ProxyHandler({})] if door.direct else []))
