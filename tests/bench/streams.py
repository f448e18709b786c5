"""So many users at once who ask, wait for the answer and think: what each got, whoever it is that answers."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ollama_gpu.capacity.quantiles import Quantiles

RETRY_SECONDS = 2.0
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """Seconds by `time.monotonic`; ``tokens`` is 0 where the chat was refused."""

    began: float
    first: float
    ended: float
    tokens: int


@dataclass(frozen=True)
class Figures:
    """A run: chats a second, seconds to the first token, refusals, and what one stream got (tokens/s)."""

    chats_per_second: float
    first_token_p50: float
    first_token_p95: float
    refused: int
    tokens: float
    stream_rate: float


class User(Protocol):
    """Somebody who asks one question after the other."""

    def chat(self) -> Answer: ...

    def close(self) -> None: ...


def measure(open_user: Callable[[], User], users: int, seconds: float, think: float = 0) -> Figures:
    """Let so many users chat; counts what began to be answered in that time."""
    began = time.monotonic()
    answers = run(open_user, users, seconds, think)
    return summary([answer for answer in answers if answer.first <= began + seconds], seconds)


def run(open_user: Callable[[], User], users: int, seconds: float, think: float = 0) -> list[Answer]:
    """Let so many users ask for so long, and wait for the last; ``think`` is the mean of an exponential pause."""
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
    """What happened in so many seconds. AssertionError where nobody had an answer."""
    good = [answer for answer in answers if answer.tokens]
    assert good, f"nobody had an answer: {len(answers)} chats failed"
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
