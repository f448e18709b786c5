"""One Ollama asked directly, without gateway and Open WebUI: a model is made of a file, and users ask it.

Every prompt is random letters and so unlike any before: nothing is answered from the cache of prompts.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from ollama_gpu.errors import UserError
from tests.bench.random_model import LETTERS, Written
from tests.bench.streams import Answer

PATIENCE_SECONDS = 600.0
"""An 8B's file is uploaded and loaded in this time."""


@dataclass(frozen=True)
class Loaded:
    """A model as `/api/ps` has it: bytes, and how many of them are on a GPU; ``context`` in tokens of a slot."""

    size: int
    on_gpu: int
    context: int


class Ollama:
    """``url`` such as http://127.0.0.1:11500. Every method raises UserError when it does not answer, or refuses."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.url = url
        self._address = (str(address.hostname), address.port or 80)

    def version(self) -> str:
        return str(self.ask("GET", "/api/version")["version"])

    def create(self, name: str, file: Written) -> None:
        """Make a model of a file, as `ollama create` does."""
        with file.path.open("rb") as content:
            self._send("POST", f"/api/blobs/{file.digest}", content, {"Content-Length": str(file.path.stat().st_size)})
        body = {"model": name, "files": {file.path.name: file.digest}, "stream": False}
        self.ask("POST", "/api/create", body)

    def remove(self, name: str) -> None:
        self.ask("DELETE", "/api/delete", {"model": name})

    def load(self, name: str) -> Loaded:
        """Load a model for good, and say where it lies."""
        self.ask("POST", "/api/generate", {"model": name, "keep_alive": -1, "stream": False})
        for model in self.ask("GET", "/api/ps")["models"]:
            if model["name"] == name:
                return Loaded(int(model["size"]), int(model.get("size_vram", 0)), int(model["context_length"]))
        raise UserError(f"{self.url} does not hold {name} although it has just loaded it.")

    def answer(self, name: str, prompt_tokens: int, tokens: int) -> tuple[Answer, dict[str, Any]]:
        """One streamed answer of so many tokens, and what Ollama itself counted (nanoseconds)."""
        began = time.monotonic()
        first, last = 0.0, {}
        for piece in self._pieces(name, prompt_tokens, tokens):
            if piece.get("response"):
                first = first or time.monotonic()
            last = piece
        if not first or not last.get("done"):
            raise UserError(f"{self.url} cut an answer off: {last.get('error', 'no reason given')}.")
        return Answer(began, first, time.monotonic(), int(last["eval_count"])), last

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        text = self._send(method, path, data, {"Content-Type": "application/json"})
        return json.loads(text) if text else None

    def _pieces(self, name: str, prompt_tokens: int, tokens: int) -> Iterator[dict[str, Any]]:
        body = {
            "model": name,
            "prompt": "".join(random.choices(LETTERS, k=prompt_tokens)),  # noqa: S311 - no secret
            "raw": True,
            "stream": True,
            "keep_alive": -1,
            "options": {"num_predict": tokens},
        }
        connection = HTTPConnection(*self._address, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", "/api/generate", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise UserError(f"{self.url} answered {response.status}: {response.read(300).decode(errors='replace')}")
            while line := response.readline():
                yield json.loads(line)
        except (OSError, HTTPException, ValueError) as error:
            raise UserError(f"{self.url} does not answer ({error}).", "Read its journal.") from error
        finally:
            connection.close()

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        connection = HTTPConnection(*self._address, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            raise UserError(f"{self.url} does not answer ({error}).", "Read its journal.") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise UserError(f"{self.url}{path} answered {response.status}: {text[:300].decode(errors='replace')}")
        return text


class Asker:
    """A user of `tests.bench.streams`: questions of so many tokens, answers of so many. A failure counts as refused."""

    def __init__(self, ollama: Ollama, model: str, prompt_tokens: int, tokens: int) -> None:
        self._ollama, self._model, self._prompt_tokens, self._tokens = ollama, model, prompt_tokens, tokens

    def chat(self) -> Answer:
        began = time.monotonic()
        try:
            return self._ollama.answer(self._model, self._prompt_tokens, self._tokens)[0]
        except UserError:
            return Answer(began, began, time.monotonic(), 0)

    def close(self) -> None:
        """Every question has a connection of its own."""
