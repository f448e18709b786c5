"""A client for one Ollama, without gateway and Open WebUI: creates a model from a file and queries it.

Every prompt is random letters and thus unlike any earlier one, so that no answer uses the prompt cache.
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

from bench.random_model import LETTERS, Written
from bench.streams import Answer
from ollama_gpu.core.errors import UserError

PATIENCE_SECONDS = 600.0
"""Enough to upload and load an 8B's file."""


@dataclass(frozen=True)
class Loaded:
    """A model as `/api/ps` reports it: bytes, and how many of them are on a GPU; ``context`` in tokens per slot."""

    size: int
    on_gpu: int
    context: int


class Ollama:
    """``url`` such as http://127.0.0.1:11500. Every method raises UserError if Ollama does not answer or refuses."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.url = url
        self._address = (str(address.hostname), address.port or 80)

    def version(self) -> str:
        return str(self.ask("GET", "/api/version")["version"])

    def create(self, name: str, file: Written) -> None:
        """Create a model from a file, as `ollama create` does."""
        with file.path.open("rb") as content:
            self._send("POST", f"/api/blobs/{file.digest}", content, {"Content-Length": str(file.path.stat().st_size)})
        body = {"model": name, "files": {file.path.name: file.digest}, "stream": False}
        self.ask("POST", "/api/create", body)

    def remove(self, name: str) -> None:
        self.ask("DELETE", "/api/delete", {"model": name})

    def load(self, name: str) -> Loaded:
        """Load a model, keep it loaded, and return its size and placement."""
        self.ask("POST", "/api/generate", {"model": name, "keep_alive": -1, "stream": False})
        for model in self.ask("GET", "/api/ps")["models"]:
            if model["name"] == name:
                return Loaded(int(model["size"]), int(model.get("size_vram", 0)), int(model["context_length"]))
        raise UserError(f"{self.url} does not list {name} although it has just loaded it.")

    def answer(self, name: str, prompt_tokens: int, tokens: int) -> tuple[Answer, dict[str, Any]]:
        """Stream one answer of ``tokens`` tokens. Returns it and Ollama's own counts (nanoseconds)."""
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
            raise UserError(f"{self.url} does not answer ({error}).", "See its journal.") from error
        finally:
            connection.close()

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        connection = HTTPConnection(*self._address, timeout=PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            raise UserError(f"{self.url} does not answer ({error}).", "See its journal.") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise UserError(f"{self.url}{path} answered {response.status}: {text[:300].decode(errors='replace')}")
        return text


class Asker:
    """A user of `bench.streams` with fixed lengths of questions and answers. A failure counts as refused."""

    def __init__(self, ollama: Ollama, model: str, prompt_tokens: int, tokens: int) -> None:
        self._ollama, self._model, self._prompt_tokens, self._tokens = ollama, model, prompt_tokens, tokens

    def chat(self) -> Answer:
        began = time.monotonic()
        try:
            return self._ollama.answer(self._model, self._prompt_tokens, self._tokens)[0]
        except UserError:
            return Answer(began, began, time.monotonic(), 0)

    def close(self) -> None:
        """Nothing to close: every question uses a new connection."""
