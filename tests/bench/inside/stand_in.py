"""Run inside an instance: stands in for an Ollama that has a GPU and never tires, so that Open WebUI is the limit.

Given on the first line of standard input: port, gateway (port), first_token_seconds, tokens_per_second. It answers each
/api/chat at once with so many tokens as asked for, each at its own time. What is no chat it asks the gateway, for the
models that Open WebUI finds must be those that there are: its processes share their list. Prints its pid as it begins,
and when standard input ends, what it did. Stands alone: the standard library only.
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
    """``late`` has by how many seconds the first token of each chat came later than it should have."""

    gateway: int
    first_token_seconds: float
    tokens_per_second: float
    late: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as many requests as come on it."""
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

    async def chat(self, asked: dict[str, object], began: float, writer: asyncio.StreamWriter) -> None:
        """The tokens of an answer, each at its time."""
        options = asked.get("options")
        given = options.get("num_predict") if isinstance(options, dict) else None
        tokens = given if isinstance(given, int) and given > 0 else DEFAULT_TOKENS
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
        for number in range(tokens + 1):
            due = began + self.first_token_seconds + min(number, tokens - 1) / self.tokens_per_second
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            if number == 0:  # as Ollama has it, the headers come with the first token
                self.late.append(time.monotonic() - due)
                writer.write(head)
            done = number == tokens
            message = {"role": "assistant", "content": "" if done else " word"}
            said: dict[str, object] = {
                "model": asked["model"],
                "created_at": "2026-01-01T00:00:00Z",
                "message": message,
            }
            if done:
                said |= {"done_reason": "length", "prompt_eval_count": 1, "eval_count": tokens}
            piece = json.dumps(said | {"done": done}).encode() + b"\n"
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" + (b"0\r\n\r\n" if done else b""))
            await writer.drain()

    def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """What the real gateway says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway, timeout=30)
        connection.request(method, path, body or None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text


async def main() -> None:
    asked = json.loads(sys.stdin.readline())
    stand_in = StandIn(asked["gateway"], asked["first_token_seconds"], asked["tokens_per_second"])
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", asked["port"], backlog=1024)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    await asyncio.to_thread(sys.stdin.read)  # until nobody wants it any more
    server.close()
    print(json.dumps({"late": stand_in.late}), flush=True)


asyncio.run(main())
