"""Simulated users who ask, wait for the answer and think, many at once; measures what each got from any server."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ollama_gpu.planning.quantiles import Quantiles

RETRY_SECONDS = 2.0
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """Seconds by `time.monotonic`; ``tokens`` is 0 if the chat was refused."""

    began: float
    first: float
    ended: float
    tokens: int


@dataclass(frozen=True)
class Figures:
    """A run: chats per second, seconds to the first token, refusals, and the tokens/s of one stream."""

    chats_per_second: float
    first_token_p50: float
    first_token_p95: float
    refused: int
    tokens: float
    stream_rate: float


class User(Protocol):
    """A user who asks one question after the other."""

    def chat(self) -> Answer: ...

    def close(self) -> None: ...


def measure(open_user: Callable[[], User], users: int, seconds: float, think: float = 0) -> Figures:
    """Let ``users`` users chat; counts the answers that began within ``seconds``."""
    began = time.monotonic()
    answers = run(open_user, users, seconds, think)
    return summary([answer for answer in answers if answer.first <= began + seconds], seconds)


def run(open_user: Callable[[], User], users: int, seconds: float, think: float = 0) -> list[Answer]:
    """Let ``users`` users chat for ``seconds``, and wait for all; ``think`` is the mean of an exponential pause."""
    answers: list[Answer] = []
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_work, args=(open_user, end, think, answers, seed), daemon=True)
        for seed in range(users)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + _PATIENCE_SECONDS)
    return answers


def summary(answers: Sequence[Answer], seconds: float) -> Figures:
    """Summarize the answers of a run of ``seconds``. Raises AssertionError if no chat succeeded."""
    good = [answer for answer in answers if answer.tokens]
    assert good, f"no user had an answer: {len(answers)} chats failed"
    waits = Quantiles()
    for answer in good:
        waits.add(answer.first - answer.began)
    rates = [(answer.tokens - 1) / (answer.ended - answer.first) for answer in good if answer.ended > answer.first]
    return Figures(
        chats_per_second=len(good) / seconds,
        first_token_p50=waits.at(0.5),
        first_token_p95=waits.at(0.95),
        refused=len(answers) - len(good),
        tokens=statistics.fmean(answer.tokens for answer in good),
        stream_rate=statistics.median(rates),
    )


def _work(open_user: Callable[[], User], end: float, think: float, answers: list[Answer], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a pause, no secret
    user = open_user()
    time.sleep(min(chance.expovariate(1 / think) if think else 0, max(0, end - time.monotonic())))
    while time.monotonic() < end:
        answer = user.chat()
        answers.append(answer)
        pause = (chance.expovariate(1 / think) if think else 0) if answer.tokens else RETRY_SECONDS
        time.sleep(max(0, min(pause, end - time.monotonic())))
    user.close()
