"""What people have in Open WebUI, written and found again through the front door: users, chats, a file."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

from ollama_gpu.chat import Door, opener
from ollama_gpu.errors import UserError

_SECONDS = 30.0
USERS = 2
CHATS = 3  # of each user


class Refused(UserError):
    """The front door answered with an error, or not at all; ``code`` is its status, 0 for no answer."""

    def __init__(self, path: str, code: int, said: str) -> None:
        super().__init__(f"{path} answered {code or 'nothing'}: {said}", "Look at it with: make status")
        self.code = code


@dataclass(frozen=True)
class Written:
    """Who and what there was before the disaster; ``accounts`` are e-mail addresses and passwords."""

    accounts: dict[str, str]
    chats: dict[str, dict[str, str]]  # by e-mail address: title by id
    file: tuple[str, bytes]  # its id and its bytes

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {"users": len(self.accounts), "chats": sum(map(len, self.chats.values())), "files": 1}


class Site:
    """Open WebUI at a front door."""

    def __init__(self, door: Door, administrator: dict[str, str]) -> None:
        self._door = door
        self._administrator = administrator

    def sign_in(self, email: str, password: str) -> str:
        """A session's token. Raises Refused."""
        account = {"email": email, "password": password}
        return str(self._json("POST", "/api/v1/auths/signin", "", account)["token"])

    def administrate(self) -> str:
        return self.sign_in(self._administrator["email"], self._administrator["password"])

    def knows(self, token: str) -> bool:
        """Whether the session's account is in the database; False too while the site does not answer."""
        try:
            self._json("GET", "/api/v1/auths/", token)
        except Refused:
            return False
        return True

    def write(self) -> Written:
        """Make users, chats of theirs and a file, all of names that nobody has."""
        mark, token = secrets.token_hex(4), self.administrate()
        accounts = {
            f"drill-{mark}-{number}@localhost.localdomain": secrets.token_urlsafe(16) for number in range(USERS)
        }
        chats = {}
        for email, password in accounts.items():
            user = {"name": email.partition("@")[0], "email": email, "password": password, "role": "user"}
            self._json("POST", "/api/v1/auths/add", token, user)
            own = self.sign_in(email, password)
            chats[email] = dict(self.write_chat(own, f"{mark} {number}") for number in range(CHATS))
        content = secrets.token_bytes(64 * 1024)
        return Written(accounts, chats, (self._upload(token, f"drill-{mark}.bin", content), content))

    def write_chat(self, token: str, title: str) -> tuple[str, str]:
        """A chat's id and title."""
        message: dict[str, Any] = {"id": "1", "parentId": None, "childrenIds": [], "role": "user", "content": title}
        history = {"messages": {"1": message}, "currentId": "1"}
        chat = {"title": title, "models": [], "messages": [message], "history": history}
        return str(self._json("POST", "/api/v1/chats/new", token, {"chat": chat})["id"]), title

    def missing(self, written: Written) -> list[str]:
        """What of it is not there, or is not what it was, in words. Raises Refused when the site does not answer."""
        lost = []
        token = self.administrate()
        for email, password in written.accounts.items():
            try:
                own = self.sign_in(email, password)
            except Refused as error:
                lost.append(f"the user {email} ({error.code})")
                continue
            for identifier, title in written.chats[email].items():
                if self.title(own, identifier) != title:
                    lost.append(f"the chat {identifier} of {email}")
        identifier, content = written.file
        try:
            found = self._ask("GET", f"/api/v1/files/{identifier}/content", token)
        except Refused as error:
            lost.append(f"the file {identifier} ({error.code})")
        else:
            if found != content:
                lost.append(f"the content of the file {identifier}")
        return lost

    def title(self, token: str, chat: str) -> str | None:
        """A chat's title, None when its owner has no such chat."""
        try:
            found = self._json("GET", f"/api/v1/chats/{chat}", token)
        except Refused as error:
            if error.code in (401, 404):  # Open WebUI's answer for a chat that is not there is 401
                return None
            raise
        return str(found["chat"]["title"])

    def _upload(self, token: str, name: str, content: bytes) -> str:
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        body = (
            f"{head}Content-Type: application/octet-stream\r\n\r\n".encode()
            + content
            + f"\r\n--{boundary}--\r\n".encode()
        )
        # stored only: what is rehearsed is the store, and reading a text out of it takes an embedding model
        answer = self._ask(
            "POST", "/api/v1/files/?process=false", token, body, f"multipart/form-data; boundary={boundary}"
        )
        return str(json.loads(answer)["id"])

    def _json(self, method: str, path: str, token: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        found = json.loads(self._ask(method, path, token, data))
        if not isinstance(found, dict):  # null: Open WebUI's answer where it has nothing
            raise Refused(path, 404, str(found))
        return found

    def _ask(
        self, method: str, path: str, token: str, data: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = Request(self._door.url + path, data, headers, method=method)  # noqa: S310, an https address of our own
        try:
            with opener(self._door).open(request, timeout=_SECONDS) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            raise Refused(path, error.code, error.read(500).decode("utf-8", "replace").strip()) from error
        except (URLError, HTTPException, OSError) as error:
            raise Refused(path, 0, str(getattr(error, "reason", error))) from error
