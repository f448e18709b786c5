"""Forwards TCP connections from the lab's network to the embedded AWS, which listens on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from ollama_gpu.core.errors import UserError

Address = tuple[str, int]
_BLOCK = 64 * 1024
_START_SECONDS = 10.0


class Forward:
    """A context manager that forwards TCP connections from ``source`` to ``target`` in a background thread."""

    def __init__(self, source: Address, target: Address) -> None:
        self.source = source
        self.target = target
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._refused: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="forward", daemon=True)

    def __enter__(self) -> Forward:
        self._thread.start()
        self._started.wait(_START_SECONDS)
        if self._refused is not None:
            host, port = self.source
            raise UserError(
                f"The lab cannot listen on {host}:{port}: {self._refused.strerror}.",
                "Stop the program that uses the port, then run the command again.",
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(asyncio.start_server(self._serve, *self.source, reuse_address=True))
        except OSError as error:
            self._refused = error
            self._started.set()
            return
        self._started.set()
        self._loop.run_forever()
        server.close()
        connections = asyncio.all_tasks(self._loop)
        for connection in connections:
            connection.cancel()
        self._loop.run_until_complete(asyncio.gather(*connections, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            to_reader, to_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, to_writer), _pump(to_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward one direction until it ends. The other direction of a half-closed connection stays open."""
    with contextlib.suppress(OSError):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
