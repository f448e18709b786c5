"""The state of a GPU and an instance in the simulation.

All decoding streams of a GPU get the same rate. `progress` counts the tokens of one stream since the start of the
simulation, and a stream ends when `progress` reaches its mark. The marks are in a heap, so rates may change in between.
Prompts are computed one after the other, and meanwhile the decoding streams slow down.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import Any

from ollama_gpu.planning.engine import Engine


class Chat:
    """A chat from its arrival at the gateway to the last token. ``tokens`` is the length of the answer."""

    __slots__ = ("arrived", "prompt", "started", "tokens", "user")

    def __init__(self, user: Any, arrived: float, prompt: float, tokens: float) -> None:
        self.user = user
        self.arrived = arrived
        self.prompt = prompt
        self.tokens = tokens
        self.started = 0.0


class Gpu:
    """One GPU with its Ollama. ``due`` is the time of its next event, inf while nothing decodes."""

    __slots__ = ("at", "busy", "due", "engine", "instance", "marks", "progress", "prompts", "sequence")

    def __init__(self, instance: Instance, engine: Engine, now: float) -> None:
        self.instance = instance
        self.engine = engine
        self.at = now
        self.busy = 0
        self.due = inf
        self.progress = 0.0
        self.marks: list[tuple[float, int, Chat]] = []
        self.prompts: deque[Chat] = deque()
        self.sequence = 0

    def advance(self, now: float) -> None:
        """Update the progress of the decoding streams to now. Call it before any change."""
        if self.marks:
            self.progress += (now - self.at) * self.rate()
        self.at = now

    def rate(self) -> float:
        """Tokens/s of each decoding stream."""
        rate = self.engine.stream_rates[len(self.marks)]
        return min(rate, self.engine.stalled_rate) if self.prompts else rate

    def next_end(self) -> float:
        """Return when the first decoding stream ends if nothing changes."""
        if not self.marks:
            return inf
        return self.at + max(0.0, self.marks[0][0] - self.progress) / self.rate()

    def decode(self, chat: Chat) -> None:
        self.sequence += 1
        heappush(self.marks, (self.progress + chat.tokens, self.sequence, chat))

    def ended(self) -> list[Chat]:
        """Remove and return the chats with complete answers."""
        done = []
        while self.marks and self.marks[0][0] <= self.progress + 1e-6:
            done.append(heappop(self.marks)[2])
            self.busy -= 1
        return done


class Instance:
    """An instance: a gateway with a bounded queue and GPUs. ``cpu_seconds`` and ``requests`` are of this minute."""

    __slots__ = (
        "cpu_seconds",
        "draining",
        "gone_at",
        "gpus",
        "in_service_at",
        "launched_at",
        "queue",
        "requests",
        "spot",
        "users",
    )

    def __init__(self, launched_at: float, *, spot: bool) -> None:
        self.launched_at = launched_at
        self.in_service_at = inf
        self.gone_at = inf
        self.draining = False
        self.spot = spot
        self.gpus: list[Gpu] = []
        self.queue: deque[Chat] = deque()
        self.users = 0
        self.requests = 0.0
        self.cpu_seconds = 0.0

    @property
    def in_flight(self) -> int:
        return sum(gpu.busy for gpu in self.gpus)

    def serves(self, now: float) -> bool:
        return self.in_service_at <= now and not self.draining
