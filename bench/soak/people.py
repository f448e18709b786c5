"""Users with several habits at the front door: short and long answers, long histories, saved chats, new sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from tests.serving.traffic import ASKED, Chat, Failed, Session, Traffic

STAYS_FOR_CHATS = 20
"""After this many chats a user returns on a new connection, perhaps to another instance."""

TITLE = "soak of ENV=local"
"""Title prefix of the chats that are saved and deleted again."""

_TURN = [
    {"role": "user", "content": "Name a city at the sea, and say what one finds there."},
    {"role": "assistant", "content": "Lisbon. There are hills, trams, tiled houses and a wide river before the sea."},
]


@dataclass(frozen=True)
class Habit:
    """A way to chat: ``chat`` returns when the first piece arrives; ``pause`` is the seconds between two chats."""

    name: str
    pause: float
    chat: Callable[[Session], float]
    newcomer: bool = False


def short(session: Session) -> float:
    return session.chat(10)


def long(session: Session) -> float:
    return session.chat(40)


def history(session: Session) -> float:
    """A prompt of about 400 tokens, which the model reads before the first piece."""
    # Ends with the same question as the others: for "name another" a small model gave an empty answer, 6 times of 449.
    return session.chat(20, [*_TURN * 8, *ASKED])


def saved(session: Session) -> float:
    """Save a chat with its answer, read it again, find it in the list, and delete it."""
    title = f"{TITLE} {time.time_ns()}"
    first = session.chat(10)
    chat = {"title": title, "models": [], "messages": _TURN}
    made = request_page(session, "POST", "/api/v1/chats/new", {"chat": chat})["id"]
    if request_page(session, "GET", f"/api/v1/chats/{made}")["chat"]["title"] != title:
        raise Failed("a saved chat has another chat's title")
    if made not in [each["id"] for each in request_page(session, "GET", "/api/v1/chats/?page=1")]:
        raise Failed("a saved chat is not listed")
    request_page(session, "DELETE", f"/api/v1/chats/{made}")
    return first


def request_page(session: Session, method: str, path: str, body: Any = None) -> Any:
    """Return a page's answer. Raises Failed if the status is not 200."""
    try:
        status, answer = session.ask(method, path, body)
    except (OSError, HTTPException) as error:
        session.close()
        raise Failed(f"{type(error).__name__} at a page") from error
    if status != 200:
        raise Failed(f"status {status} of a page")
    return answer


HABITS = (
    Habit("short", 1.0, short),
    Habit("long", 2.0, long),
    Habit("history", 3.0, history),
    Habit("saved", 3.0, saved),
    Habit("newcomer", 2.0, short, newcomer=True),
)


@dataclass
class People(Traffic):
    """One user per habit, in rotation. New sessions reach any instance, so that no fault stays unnoticed."""

    def work(self, user: int, session: Session) -> None:
        habit, chats = HABITS[user % len(HABITS)], 0
        while not self._leave.wait(habit.pause):
            began = time.monotonic()
            first, failure = 0.0, ""
            try:
                first = habit.chat(session)
            except Failed as error:
                failure = str(error)
            except (KeyError, TypeError, ValueError) as error:  # else the thread would end unnoticed
                failure = f"an answer of unexpected shape ({type(error).__name__})"
            self.chats.append(Chat(user, began, first, time.monotonic(), failure))
            chats += 1
            if habit.newcomer or chats % STAYS_FOR_CHATS == 0:
                session.close()
                session = Session(self.chat_address, self.token)
        session.close()

    def tidy(self) -> None:
        """Delete the saved chats that a failure left behind."""
        session = Session(self.chat_address, self.token)
        for each in request_page(session, "GET", "/api/v1/chats/?page=1"):
            if each["title"].startswith(TITLE):
                request_page(session, "DELETE", f"/api/v1/chats/{each['id']}")
        session.close()
