"""Runs inside an instance: users who chat without a pause with Open WebUI processes, one stream each.

Reads from standard input: token (of the signed-in user), model, ports, streams, tokens (of an answer), answer_seconds
(duration of one answer), seconds (how long chats are started), pids (by name, of the processes to measure). Prints each
chat that began after all streams had started, in seconds. Self-contained: standard library only.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

PATIENCE_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A chat that failed; the text is the reason."""


class Person:
    """A user who asks, reads the answer to its end, and asks again, on one connection."""

    def __init__(self, port: int, token: str, body: bytes) -> None:
        head = f"POST /api/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._port, self._request = port, (head + more).encode() + body
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def chat(self) -> dict[str, Any]:
        """Seconds to the first token and to the end, and the reason if the chat failed."""
        began = time.monotonic()
        measured: dict[str, Any] = {"began": began, "first": None, "total": None, "failure": ""}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if self._connection is None:
                    self._connection = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._connection
                writer.write(self._request)
                await self._read(reader, began, measured)
            measured["total"] = time.monotonic() - began
        except (OSError, TimeoutError, asyncio.IncompleteReadError, Failed) as error:
            measured["failure"] = str(error) if isinstance(error, Failed) else type(error).__name__
            self.close()
        return measured

    async def _read(self, reader: asyncio.StreamReader, began: float, measured: dict[str, Any]) -> None:
        status = (await reader.readline()).split(b" ")
        if len(status) < 2 or status[1] != b"200":
            raise Failed(f"status {status[1].decode()}" if len(status) > 1 else "no answer")
        while line := await reader.readline():
            if line.startswith(b"data: [DONE]"):
                break
            if measured["first"] is None and line.startswith(b"data: {") and content(line):
                measured["first"] = time.monotonic() - began
        if measured["first"] is None or not line:
            raise Failed("answer ended early")
        while await reader.readline() not in (b"0\r\n", b""):  # the last chunk, which is empty
            pass
        await reader.readline()

    def close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


def content(line: bytes) -> bool:
    """Whether an event contains text of the answer."""
    event = json.loads(line[len(b"data: ") :])
    if "error" in event:
        raise Failed("an error instead of an answer")
    return any(choice.get("delta", {}).get("content") for choice in event.get("choices", []))


def processor_seconds(pid: int) -> float:
    """Processor seconds that a process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_seconds() -> float:
    """Processor seconds that all processors of the machine have worked so far, for any process."""
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123
        user, nice, system, _idle, _wait, hard, soft, stolen = map(int, file.readline().split()[1:9])
    return (user + nice + system + hard + soft + stolen) / TICKS


async def main() -> None:
    request = json.load(sys.stdin)
    question = {
        "model": request["model"],
        "messages": [{"role": "user", "content": "Tell me about the sea."}],
        "stream": True,
        "max_tokens": request["tokens"],
    }
    body = json.dumps(question).encode()
    pids = request["pids"] | {"clients": os.getpid()}
    before = {name: processor_seconds(pid) for name, pid in pids.items()}
    machine = machine_seconds()
    began = time.monotonic()
    end = began + request["answer_seconds"] + request["seconds"]
    chats: list[dict[str, Any]] = []

    async def work(number: int) -> None:
        person = Person(request["ports"][number % len(request["ports"])], request["token"], body)
        await asyncio.sleep(request["answer_seconds"] * number / request["streams"])  # they start one after the other
        while time.monotonic() < end:
            chats.append(await person.chat())
        person.close()

    await asyncio.gather(*(work(number) for number in range(request["streams"])))
    seconds = time.monotonic() - began
    used = {name: processor_seconds(pid) - before[name] for name, pid in pids.items()}
    used["whole machine"] = machine_seconds() - machine
    all_ran = began + request["answer_seconds"]
    print(
        json.dumps(
            {
                "chats": [chat for chat in chats if chat["began"] >= all_ran],
                "begun": len(chats),
                "seconds": seconds,
                "processor_seconds": used,
                "processors": os.cpu_count(),
            }
        )
    )


asyncio.run(main())
