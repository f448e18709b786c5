"""Users who chat constantly at the front door: number of chats, failures by kind, and time of recovery.

A user keeps one session as a browser does: one connection, the load balancer's cookie, an answer read as it arrives.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from ollama_gpu.core.chat import ChatAddress

MODEL = "gemma3:270m"
PATIENCE_SECONDS = 20.0
"""After this time without a byte a user gives up, and the chat counts as failed."""

CALM_SECONDS = 5.0
"""Users have recovered when no chat has failed for this time."""

ASKED = ({"role": "user", "content": "The capital of France is"},)

_STICKY = "AWSALB"
_ATTEMPTS = 12


class Failed(Exception):
    """A chat that failed; the text is the reason, the same for all failures of a kind."""


@dataclass(frozen=True)
class Chat:
    """Times in seconds by `time.monotonic`; ``failure`` is empty if the whole answer arrived."""

    user: int
    began: float
    first: float
    ended: float
    failure: str = ""


class Session:
    """One browser at the front door. Never retries a failed request."""

    def __init__(self, chat_address: ChatAddress, token: str = "") -> None:
        address = urlsplit(chat_address.url)
        self._host, self._port = str(address.hostname), address.port or 443
        self._trust = ssl.create_default_context(cafile=str(chat_address.authority) if chat_address.authority else None)
        self._token = token
        self._connection: HTTPSConnection | None = None
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and JSON of a response, or its text if it is not JSON. Raises OSError and HTTPException."""
        response = self.send(method, path, body)
        text = response.read().decode("utf-8", "replace")
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def chat(self, tokens: int, messages: Sequence[Mapping[str, str]] = ASKED) -> float:
        """Stream one chat and return the time of the first piece. Raises Failed."""
        question = {
            "model": MODEL,
            "messages": list(messages),
            "stream": True,
            "max_tokens": tokens,
            "temperature": 0,  # else a small model sometimes gives an empty answer, which would count as a failure
        }
        try:
            return self._read(self.send("POST", "/api/chat/completions", question))
        except (OSError, HTTPException) as error:
            self.close()
            raise Failed(type(error).__name__) from error
        except Failed:
            self.close()
            raise

    def send(self, method: str, path: str, body: Any = None) -> HTTPResponse:
        """Send a request and return its response, still unread."""
        if self._connection is None:
            self._connection = HTTPSConnection(self._host, self._port, timeout=PATIENCE_SECONDS, context=self._trust)
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        for line in response.headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return response

    def close(self) -> None:
        """Close the connection; the cookies stay."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, response: HTTPResponse) -> float:
        if response.status != 200:
            response.read()
            raise Failed(f"status {response.status}")
        first = 0.0
        while line := response.readline():
            data = line.decode("utf-8", "replace").removeprefix("data:").strip()
            if data == "[DONE]":
                response.read()
                if not first:
                    raise Failed("an empty answer")
                return first
            if not line.startswith(b"data:") or not data:
                continue
            event = json.loads(data)
            if "error" in event:
                raise Failed("an error instead of an answer")
            if any(choice.get("delta", {}).get("content") for choice in event.get("choices", [])):
                first = first or time.monotonic()
        raise Failed("an answer that was cut off")


def sign_in(chat_address: ChatAddress, administrator: dict[str, str]) -> str:
    """Return the administrator's token. Keep it: Open WebUI allows 15 sign-ins per account in three minutes."""
    account = {"email": administrator["email"], "password": administrator["password"]}
    session = Session(chat_address)
    status, answer = session.ask("POST", "/api/v1/auths/signin", account)
    session.close()
    assert status == 200, answer
    token: str = answer["token"]
    return token


@dataclass(frozen=True)
class Figures:
    """Figures of all users from ``since`` to ``until``; ``recovery`` in seconds after ``since``."""

    chats: int
    failures: dict[str, int]
    per_second: float
    slowest: float
    recovery: float

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def as_dict(self) -> dict[str, Any]:
        """For programs; durations in seconds."""
        return {
            "chats": self.chats,
            "per_second": round(self.per_second, 2),
            "failed": self.failed,
            "failures": self.failures,
            "slowest_seconds": round(self.slowest, 1),
            "recovery_seconds": round(self.recovery, 1),
        }

    def __str__(self) -> str:
        failures = ", ".join(f"{count} x {what}" for what, count in self.failures.items()) or "none"
        return (
            f"{self.chats} chats ({self.per_second:.1f} a second), failed: {failures}; "
            f"slowest good one {self.slowest:.1f} s; recovered after {self.recovery:.1f} s"
        )


@dataclass
class Traffic:
    """Users who chat. ``chats`` can be read at any time."""

    chat_address: ChatAddress
    token: str
    users: int
    tokens: int
    spread: int
    chats: list[Chat] = field(default_factory=list)
    ways: set[str] = field(default_factory=set)  # the load balancer's cookies: one per instance that serves users
    _leave: threading.Event = field(default_factory=threading.Event)

    def settle(self, since: float, seconds: float, calm_seconds: float = CALM_SECONDS) -> Figures:
        """Wait until every user had an answer and none failed for a while; AssertionError ``seconds`` after ``since``.

        A hanging chat is neither a success nor a failure: it delays the recovery, as it should.
        """
        deadline = since + seconds
        while True:
            calm = max([since, *(chat.ended for chat in self._since(since) if chat.failure)])
            served = {chat.user for chat in self.chats if chat.began >= calm and not chat.failure}
            if len(served) == self.users and time.monotonic() >= calm + calm_seconds:
                return self.figures(since, calm)
            assert time.monotonic() < deadline, (
                f"not recovered after {seconds:.0f} s, served: {sorted(served)}; {self.figures(since, calm)}"
            )
            time.sleep(0.2)

    def figures(self, since: float, calm: float | None = None) -> Figures:
        """The figures from ``since`` until now."""
        chats = self._since(since)
        seconds = max(time.monotonic() - since, 0.001)
        return Figures(
            chats=len(chats),
            failures=dict(Counter(chat.failure for chat in chats if chat.failure)),
            per_second=len(chats) / seconds,
            slowest=max((chat.ended - chat.began for chat in chats if not chat.failure), default=0.0),
            recovery=(calm or since) - since,
        )

    def stop(self) -> None:
        self._leave.set()

    def work(self, user: int, session: Session) -> None:
        """Act as one user: chat, and read the answer for a moment."""
        while not self._leave.wait(0.3):
            began = time.monotonic()
            first, failure = 0.0, ""
            try:
                first = session.chat(self.tokens)
            except Failed as error:
                failure = str(error)
            self.chats.append(Chat(user, began, first, time.monotonic(), failure))
            if failure:
                self._leave.wait(0.7)  # after an error a user waits a little longer
        session.close()

    def _since(self, since: float) -> list[Chat]:
        return [chat for chat in list(self.chats) if chat.ended >= since]

    def arrive(self) -> Session:
        """Open a session on an instance without other users, if there is one, so that a fault affects some user."""
        session = Session(self.chat_address, self.token)
        for _ in range(_ATTEMPTS):
            session = Session(self.chat_address, self.token)
            session.ask("GET", "/api/version")
            way = session.cookies.get(_STICKY, "")
            if way not in self.ways or len(self.ways) >= self.spread:
                break
            session.close()
        self.ways.add(session.cookies.get(_STICKY, ""))
        return session


@contextmanager
def traffic(
    chat_address: ChatAddress, token: str, users: int = 3, tokens: int = 10, spread: int = 2
) -> Iterator[Traffic]:
    """Let users chat until the end of the block, which begins when each has had an answer and none fails.

    They use at least ``spread`` instances, because a fault on an unused one would go unnoticed; else AssertionError.
    """
    with chatting(Traffic(chat_address, token, users, tokens, spread)) as running:
        yield running


@contextmanager
def chatting(running: Traffic) -> Iterator[Traffic]:
    """Like `traffic`, for users of another kind."""
    sessions = [running.arrive() for _ in range(running.users)]  # one after another: each avoids the others' instances
    assert len(running.ways) >= running.spread, f"all users are on {len(running.ways)} of {running.spread} instances"
    threads = [threading.Thread(target=running.work, args=each, daemon=True) for each in enumerate(sessions)]
    began = time.monotonic()
    try:
        for thread in threads:
            thread.start()
        running.settle(began, 90, calm_seconds=0)
        yield running
    finally:
        running.stop()
        for thread in threads:
            thread.join(PATIENCE_SECONDS + 5)
