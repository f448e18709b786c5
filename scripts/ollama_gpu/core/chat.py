"""Test chat the way a user does: sign in at the front address and get an answer from a model."""

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

from ollama_gpu.core.errors import UserError

QUESTION = "The capital of France is"
_TOKENS = 24
_SECONDS = 120.0  # a first chat may wait for a slot


@dataclass(frozen=True)
class ChatAddress:
    """``url``: the users' address. ``authority``: an additional certificate to trust. ``direct``: use no proxy."""

    url: str
    authority: Path | None = None
    direct: bool = False


@dataclass(frozen=True)
class Chat:
    """A successful chat. ``first_token_ms`` is the time until the first part of the answer arrived."""

    url: str
    model: str
    answer: str
    first_token_ms: float
    total_ms: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def chat(address: ChatAddress, administrator: dict[str, str]) -> Chat:
    """Sign in as the first administrator and ask the first model a question, streamed.

    Raises UserError with the response of the front address if a step fails.
    """
    account = {"email": administrator["email"], "password": administrator["password"]}
    token = json.loads(_read(address, "/api/v1/auths/signin", account))["token"]
    models = [model["id"] for model in json.loads(_read(address, "/api/models", None, token))["data"]]
    if not models:
        raise UserError(
            f"{address.url} offers no model.",
            "Publish a set with make models PUBLISH=NAME. Instances load it within one to two minutes.",
        )
    body = {
        "model": models[0],
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "max_tokens": _TOKENS,
    }
    began = time.monotonic()
    first, pieces = 0.0, []
    for piece in _pieces(_lines(address, "/api/chat/completions", body, token)):
        first = first or time.monotonic()
        pieces.append(piece)
    answer = "".join(pieces).strip()
    if not answer:
        raise UserError(
            f"{models[0]} at {address.url} returned an empty answer.", "Read the gateway's log: make status."
        )
    ended = time.monotonic()
    return Chat(address.url, models[0], answer, round((first - began) * 1000, 1), round((ended - began) * 1000, 1))


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """The text in a stream of server-sent events."""
    for line in lines:
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            continue
        event = json.loads(data)
        if "error" in event:
            raise UserError(f"The model returned an error: {event['error']}.", "Read the gateway's log: make status.")
        for choice in event.get("choices", []):
            if text := choice.get("delta", {}).get("content"):
                yield text


def _read(address: ChatAddress, path: str, body: dict[str, Any] | None, token: str = "") -> str:
    return "\n".join(_lines(address, path, body, token))


def _lines(address: ChatAddress, path: str, body: dict[str, Any] | None, token: str = "") -> Iterator[str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    request = Request(address.url + path, data, headers)  # noqa: S310, the product's https address
    try:
        with opener(address).open(request, timeout=_SECONDS) as answer:
            for line in answer:
                yield line.decode("utf-8", "replace").rstrip("\r\n")
    except HTTPError as error:
        text = error.read(2000).decode("utf-8", "replace").strip()
        raise UserError(f"{address.url}{path} returned {error.code}: {text}", "Check it with: make status") from error
    except (URLError, HTTPException, OSError) as error:
        cause = getattr(error, "reason", error)
        raise UserError(f"{address.url}{path} is not reachable: {cause}", "Check it with: make status") from error


def opener(address: ChatAddress) -> Any:
    """An opener for requests to a front address; trusts its authority and bypasses proxies if ``direct`` is set."""
    trust = ssl.create_default_context()
    if address.authority is not None:
        trust.load_verify_locations(address.authority)
    handlers: list[Any] = [HTTPSHandler(context=trust)]
    return build_opener(*handlers, *([ProxyHandler({})] if address.direct else []))
