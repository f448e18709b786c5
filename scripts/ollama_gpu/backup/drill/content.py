"""Content of the drill in Open WebUI: creates and verifies users, chats and a file through the front door."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

from ollama_gpu.core.chat import ChatAddress, opener
from ollama_gpu.core.errors import UserError

_SECONDS = 30.0
USERS = 2
CHATS = 3  # of each user


class RequestFailed(UserError):
    """A request to Open WebUI failed. ``code`` is the HTTP status, 0 without an answer."""

    def __init__(self, path: str, code: int, reason: str) -> None:
        answer = f"answered {code}" if code else "did not answer"
        super().__init__(f"{path} {answer}: {reason}", "See the instances with: make status")
        self.code = code


@dataclass(frozen=True)
class Content:
    """The content before the disaster. ``accounts`` maps e-mail addresses to passwords."""

    accounts: dict[str, str]
    chats: dict[str, dict[str, str]]  # titles by id, by e-mail address
    file: tuple[str, bytes]  # id and content

    def counts(self) -> dict[str, int]:
        """Count users, chats and files."""
        return {"users": len(self.accounts), "chats": sum(map(len, self.chats.values())), "files": 1}


class OpenWebUI:
    """A client of Open WebUI at an environment's front door."""

    def __init__(self, address: ChatAddress, administrator: dict[str, str]) -> None:
        self._address = address
        self._administrator = administrator

    def sign_in(self, email: str, password: str) -> str:
        """Return a session token. Raises RequestFailed."""
        account = {"email": email, "password": password}
        return str(self._json("POST", "/api/v1/auths/signin", "", account)["token"])

    def sign_in_as_administrator(self) -> str:
        """Return a session token of the first administrator. Raises RequestFailed."""
        return self.sign_in(self._administrator["email"], self._administrator["password"])

    def accepts(self, token: str) -> bool:
        """Whether the session's account is in the database. False while Open WebUI does not answer."""
        try:
            self._json("GET", "/api/v1/auths/", token)
        except RequestFailed:
            return False
        return True

    def create_content(self) -> Content:
        """Create users, their chats and a file, with unique names."""
        mark, token = secrets.token_hex(4), self.sign_in_as_administrator()
        accounts = {
            f"drill-{mark}-{number}@localhost.localdomain": secrets.token_urlsafe(16) for number in range(USERS)
        }
        chats = {}
        for email, password in accounts.items():
            user = {"name": email.partition("@")[0], "email": email, "password": password, "role": "user"}
            self._json("POST", "/api/v1/auths/add", token, user)
            own = self.sign_in(email, password)
            chats[email] = dict(self.create_chat(own, f"{mark} {number}") for number in range(CHATS))
        content = secrets.token_bytes(64 * 1024)
        return Content(accounts, chats, (self._upload(token, f"drill-{mark}.bin", content), content))

    def create_chat(self, token: str, title: str) -> tuple[str, str]:
        """Create a chat. Returns its id and title."""
        message: dict[str, Any] = {"id": "1", "parentId": None, "childrenIds": [], "role": "user", "content": title}
        history = {"messages": {"1": message}, "currentId": "1"}
        chat = {"title": title, "models": [], "messages": [message], "history": history}
        return str(self._json("POST", "/api/v1/chats/new", token, {"chat": chat})["id"]), title

    def missing(self, expected: Content) -> list[str]:
        """Describe content that is missing or different. Raises RequestFailed if Open WebUI does not answer."""
        lost = []
        token = self.sign_in_as_administrator()
        for email, password in expected.accounts.items():
            try:
                own = self.sign_in(email, password)
            except RequestFailed as error:
                lost.append(f"the user {email} ({error.code})")
                continue
            for identifier, title in expected.chats[email].items():
                if self.chat_title(own, identifier) != title:
                    lost.append(f"the chat {identifier} of {email}")
        identifier, content = expected.file
        try:
            found = self._request("GET", f"/api/v1/files/{identifier}/content", token)
        except RequestFailed as error:
            lost.append(f"the file {identifier} ({error.code})")
        else:
            if found != content:
                lost.append(f"the content of the file {identifier}")
        return lost

    def chat_title(self, token: str, chat: str) -> str | None:
        """Return a chat's title, None if its owner has no such chat."""
        try:
            found = self._json("GET", f"/api/v1/chats/{chat}", token)
        except RequestFailed as error:
            if error.code in (401, 404):  # Open WebUI answers 401 for a chat that does not exist
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
        # process=false: the drill tests the data store, and extracting text needs an embedding model
        answer = self._request(
            "POST", "/api/v1/files/?process=false", token, body, f"multipart/form-data; boundary={boundary}"
        )
        return str(json.loads(answer)["id"])

    def _json(self, method: str, path: str, token: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        found = json.loads(self._request(method, path, token, data))
        if not isinstance(found, dict):  # Open WebUI answers null for nothing
            raise RequestFailed(path, 404, str(found))
        return found

    def _request(
        self, method: str, path: str, token: str, data: bytes | None = None, kind: str = "application/json"
    ) -> bytes:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = Request(self._address.url + path, data, headers, method=method)  # noqa: S310, always an https address
        try:
            with opener(self._address).open(request, timeout=_SECONDS) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            raise RequestFailed(path, error.code, error.read(500).decode("utf-8", "replace").strip()) from error
        except (URLError, HTTPException, OSError) as error:
            raise RequestFailed(path, 0, str(getattr(error, "reason", error))) from error
