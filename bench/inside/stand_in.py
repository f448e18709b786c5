"""Runs inside an instance: simulate an Ollama with a GPU and unlimited capacity, so that Open WebUI is the limit.

Reads from the first line of standard input: port, gateway (port), first_token_seconds, tokens_per_second. Answers each
/api/chat at once with the requested number of tokens, each at its scheduled time. Forwards every other request to the
gateway, because Open WebUI must find the models that really exist: its processes share their list. Prints its pid at
the start, and its results when standard input ends. Self-contained: standard library only.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import time
from dataclasses import dataclass, field

DEFAULT_TOKENS = 100


@dataclass
class StandIn:
    """``late``: for each chat, the delay in seconds of its first token beyond its scheduled time."""

    gateway: int
    first_token_seconds: float
    tokens_per_second: float
    late: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection and all requests on it."""
        try:
            while line := await reader.readline():
                began = time.monotonic()
                method, path, _ = line.decode("latin-1").split(" ", 2)
                length = 0
                while (header := await reader.readline()).strip():
                    name, _, value = header.decode("latin-1").partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                body = await reader.readexactly(length)
                if method == "POST" and path == "/api/chat":
                    await self.chat(json.loads(body), began, writer)
                else:
                    status, answer = await asyncio.to_thread(self.ask, method, path, body)
                    kind = f"Content-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
                    writer.write(f"HTTP/1.1 {status} -\r\n{kind}".encode() + answer)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def chat(self, request: dict[str, object], began: float, writer: asyncio.StreamWriter) -> None:
        """Write the tokens of an answer, each at its time."""
        options = request.get("options")
        given = options.get("num_predict") if isinstance(options, dict) else None
        tokens = given if isinstance(given, int) and given > 0 else DEFAULT_TOKENS
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        for number in range(tokens + 1):
            due = began + self.first_token_seconds + min(number, tokens - 1) / self.tokens_per_second
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            if number == 0:  # as in Ollama, the headers come with the first token
                self.late.append(time.monotonic() - due)
                writer.write(head)
            done = number == tokens
            message = {"role": "assistant", "content": "" if done else " word"}
            chunk: dict[str, object] = {
                "model": request["model"],
                "created_at": "2026-01-01T00:00:00Z",
                "message": message,
            }
            if done:
                chunk |= {"done_reason": "length", "prompt_eval_count": 1, "eval_count": tokens}
            piece = json.dumps(chunk | {"done": done}).encode() + b"\n"
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" + (b"0\r\n\r\n" if done else b""))
            await writer.drain()

    def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Forward a request to the real gateway."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway, timeout=30)
        connection.request(method, path, body or None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text


async def main() -> None:
    request = json.loads(sys.stdin.readline())
    stand_in = StandIn(request["gateway"], request["first_token_seconds"], request["tokens_per_second"])
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", request["port"], backlog=1024)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until the caller closes it
    server.close()
    print(json.dumps({"late": stand_in.late}), flush=True)


asyncio.run(main())
