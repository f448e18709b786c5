"""People who chat all the time, at the front door: how many chats, how those that failed did, and when all is well.

A user keeps one session as a browser does: one connection, the load balancer's cookie, an answer read as it comes.
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

from ollama_gpu.chat import Door

MODEL = "gemma3:270m"
PATIENCE_SECONDS = 20.0
"""Without a byte for so long a person gives up, and the chat counts as failed."""

CALM_SECONDS = 5.0
"""So long nobody's chat fails: it is well again."""

ASKED = ({"role": "user", "content": "The capital of France is"},)

_STICKY = "AWSALB"
_ATTEMPTS = 12


class Failed(Exception):
    """A chat that did not end well; the text says how, without what differs from one to the next."""


@dataclass(frozen=True)
class Chat:
    """Times in seconds by `time.monotonic`; ``failure`` is empty when the whole answer came."""

    user: int
    began: float
    first: float
    ended: float
    failure: str = ""


class Session:
    """One browser at the front door. Nothing is asked a second time when it fails."""

    def __init__(self, door: Door, token: str = "") -> None:
        address = urlsplit(door.url)
        self._host, self._port = str(address.hostname), address.port or 443
        self._trust = ssl.create_default_context(cafile=str(door.authority) if door.authority else None)
        self._token = token
        self._connection: HTTPSConnection | None = None
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer; what is no JSON comes as text. Raises OSError and HTTPException."""
        response = self.send(method, path, body)
        text = response.read().decode("utf-8", "replace")
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def chat(self, tokens: int, messages: Sequence[Mapping[str, str]] = ASKED) -> float:
        """One chat, its answer streamed; returns when the first piece came. Raises Failed."""
        question = {
            "model": MODEL,
            "messages": list(messages),
            "stream": True,
            "max_tokens": tokens,
            "temperature": 0,  # or a small model now and then has nothing to say, which would count as a failure
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
        """Send a request and return its answer, still to be read."""
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
        """Leave the connection; the cookies stay."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, response: HTTPResponse) -> float:
        if response.status != 200:
            response.read()
            raise Failed(f"status {response.status}")
        first = 0.0
        while line := response.readline():
            said = line.decode("utf-8", "replace").removeprefix("data:").strip()
            if said == "[DONE]":
                response.read()
                if not first:
                    raise Failed("an empty answer")
                return first
            if not line.startswith(b"data:") or not said:
                continue
            event = json.loads(said)
            if "error" in event:
                raise Failed("an error instead of an answer")
            if any(choice.get("delta", {}).get("content") for choice in event.get("choices", [])):
                first = first or time.monotonic()
        raise Failed("an answer that was cut off")


def sign_in(door: Door, administrator: dict[str, str]) -> str:
    """The administrator's token. Open WebUI lets one account sign in 15 times in three minutes: keep it."""
    account = {"email": administrator["email"], "password": administrator["password"]}
    session = Session(door)
    status, answer = session.ask("POST", "/api/v1/auths/signin", account)
    session.close()
    assert status == 200, answer
    token: str = answer["token"]
    return token


@dataclass(frozen=True)
class Figures:
    """What users had from ``since`` to ``until``; ``recovery`` in seconds after ``since``."""

    chats: int
    failures: dict[str, int]
    per_second: float
    slowest: float
    recovery: float

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def as_dict(self) -> dict[str, Any]:
        """For a program; durations in seconds."""
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
            f"slowest good one {self.slowest:.1f} s; well again after {self.recovery:.1f} s"
        )


@dataclass
class Traffic:
    """The users, while they chat. What happened is there to be read at any time."""

    door: Door
    token: str
    users: int
    tokens: int
    spread: int
    chats: list[Chat] = field(default_factory=list)
    ways: set[str] = field(default_factory=set)  # the load balancer's cookies: one for each instance that serves users
    _leave: threading.Event = field(default_factory=threading.Event)

    def settle(self, since: float, seconds: float, calm_seconds: float = CALM_SECONDS) -> Figures:
        """Wait until every user had an answer and none failed for a while; AssertionError ``seconds`` after ``since``.

        A chat that hangs is neither: who waits keeps the recovery waiting, as it should.
        """
        deadline = since + seconds
        while True:
            calm = max([since, *(chat.ended for chat in self._since(since) if chat.failure)])
            served = {chat.user for chat in self.chats if chat.began >= calm and not chat.failure}
            if len(served) == self.users and time.monotonic() >= calm + calm_seconds:
                return self.figures(since, calm)
            assert time.monotonic() < deadline, (
                f"not well after {seconds:.0f} s, served: {sorted(served)}; {self.figures(since, calm)}"
            )
            time.sleep(0.2)

    def figures(self, since: float, calm: float | None = None) -> Figures:
        """What happened from ``since`` until now."""
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
        """What one user does: chat, and read the answer for a moment."""
        while not self._leave.wait(0.3):
            began = time.monotonic()
            first, failure = 0.0, ""
            try:
                first = session.chat(self.tokens)
            except Failed as error:
                failure = str(error)
            self.chats.append(Chat(user, began, first, time.monotonic(), failure))
            if failure:
                self._leave.wait(0.7)  # who saw an error tries again a little later
        session.close()

    def _since(self, since: float) -> list[Chat]:
        return [chat for chat in list(self.chats) if chat.ended >= since]

    def arrive(self) -> Session:
        """A session on an instance that the other users are not on, as far as there is one: a fault is to meet some."""
        session = Session(self.door, self.token)
        for _ in range(_ATTEMPTS):
            session = Session(self.door, self.token)
            session.ask("GET", "/api/version")
            way = session.cookies.get(_STICKY, "")
            if way not in self.ways or len(self.ways) >= self.spread:
                break
            session.close()
        self.ways.add(session.cookies.get(_STICKY, ""))
        return session


@contextmanager
def traffic(door: Door, token: str, users: int = 3, tokens: int = 10, spread: int = 2) -> Iterator[Traffic]:
    """Let users chat until the end of the block; it begins when each of them has had an answer and nobody fails.

    They are on ``spread`` instances at least, or nothing that happens to one of them would be seen: AssertionError.
    """
    with chatting(Traffic(door, token, users, tokens, spread)) as running:
        yield running


@contextmanager
def chatting(running: Traffic) -> Iterator[Traffic]:
    """The same with users of another kind."""
    sessions = [running.arrive() for _ in range(running.users)]  # one after another: each sees where the others are
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
