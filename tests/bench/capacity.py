"""The simulator against the running lab: `python -m tests.bench.capacity [--users N] [--minutes M] [--think S]`

The lab's instances share this machine's cores, so they are simulated as one engine with the slots of both. It is
measured with one user, with half of the slots busy and with all, which gives the simulator's input; then so many users
as asked think and chat for a while, the same is simulated, and the difference is the simulator's error. Needs ENV=local
with its lab, and nobody else on it.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPException
from typing import Any

from ollama_gpu.capacity import engine, priors, simulation
from ollama_gpu.capacity.day import Day
from ollama_gpu.capacity.demand import Demand
from ollama_gpu.capacity.host import Host
from ollama_gpu.capacity.priors import Added, Priors
from ollama_gpu.capacity.quantiles import Quantiles
from ollama_gpu.capacity.scaling import Policies
from ollama_gpu.capacity.simulation import Service
from ollama_gpu.verify import Door
from tests.serving.traffic import MODEL, Session, sign_in

RETRY_SECONDS = 2.0
_DAYS = 20  # simulated with as many seeds: a run of minutes is a small sample
_ASKED = "Tell me about the sea."


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


@dataclass(frozen=True)
class Calibration:
    """The lab with one user, with half as many as ``slots``, and with that many at once; by their number."""

    slots: int
    points: dict[int, Figures]


def measure(door: Door, token: str, users: int, seconds: float, think: float, tokens: int) -> Figures:
    """Let so many users chat; ``think`` is the mean of an exponential pause, 0 is none."""
    answers: list[Answer] = []
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_work, args=(door, token, end, think, tokens, answers, seed), daemon=True)
        for seed in range(users)
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 120)
    return summary([answer for answer in answers if answer.first <= end], end - began)


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


def predict(seen: Calibration, host: Host, users: int, seconds: float, think: float, tokens: float) -> Figures:
    """What the simulator says of a run, the mean of many seeds. ``host`` is one instance, the slots are the lab's."""
    known = calibrated(seen)
    instances = seen.slots // host.all_slots
    one = Host(
        1,
        seen.slots,
        host.context,
        host.kv_cache_type,
        host.queue_limit * instances,
        host.queue_seconds,
        processes=1,
        connections_per_process=host.connections_per_process,
    )
    rates = {streams: point.stream_rate for streams, point in seen.points.items()}
    service = Service(engine.measured(rates, 1e9, seen.slots, known), one, vcpus=1, boot_seconds=1)
    never = {"cpu": 1e9, "inference load": 1e9, "requests": 1e9}
    fixed = Policies(1, 1, 1, 0, warmup_seconds=0, drain_seconds=1, targets=never)
    demand = Demand(users, think, prompt_tokens=1, answer_tokens=tokens)
    waits, chats, refused, made = Quantiles(), 0, 0, 0.0
    for seed in range(_DAYS):
        outcome = simulation.run(Day(users, users), demand, service, fixed, known, seed, seconds)
        waits.include(outcome.waits)
        chats += outcome.chats
        refused += outcome.refused + outcome.timed_out
        made += outcome.tokens
    return Figures(
        chats_per_second=chats / _DAYS / seconds,
        first_token_p50=waits.at(0.5),
        first_token_p95=waits.at(0.95),
        refused=round(refused / _DAYS),
        tokens=made / max(1, chats),
        stream_rate=service.engine.stream_rates[min(users, seen.slots)],
    )


def calibrated(seen: Calibration) -> Priors:
    """The priors with the lab's own: what comes before the first token at one and at all slots, answers all alike."""
    known = priors.load()
    points = seen.points.values()
    added = Added(
        origin="measured",
        source="tests.bench.capacity",
        streams=tuple(seen.points),
        p50=tuple(1000 * max(0.001, each.first_token_p50 - 1 / each.stream_rate) for each in points),
        p95=tuple(1000 * max(0.002, each.first_token_p95 - 1 / each.stream_rate) for each in points),
    )
    own = {"answer_spread": 0.0, "retry_seconds": RETRY_SECONDS, "session_minutes": 1e6}
    figures = {
        name: figure.model_copy(update={"value": own[name]}) if name in own else figure
        for name, figure in known.figures.items()
    }
    return known.model_copy(update={"figures": figures, "webui_added_ms": added})


def errors(seen: Figures, predicted: Figures) -> dict[str, float]:
    """By how many percent the prediction is above what was seen."""
    return {
        name: round(100 * (getattr(predicted, name) / getattr(seen, name) - 1), 1)
        for name in ("chats_per_second", "first_token_p50", "first_token_p95")
    }


def compare(
    door: Door, token: str, host: Host, instances: int, users: int, minutes: float, think: float, tokens: int
) -> dict[str, Any]:
    """Calibrate, measure, predict. The figures of each, and the errors in percent."""
    slots = instances * host.all_slots
    numbers = sorted({1, slots // 2, slots})
    seen = Calibration(slots, {number: measure(door, token, number, 45, 0, tokens) for number in numbers})
    run = measure(door, token, users, 60 * minutes, think, tokens)
    predicted = predict(seen, host, users, 60 * minutes, think, run.tokens)
    return {
        "calibration": asdict(seen),
        "seen": asdict(run),
        "predicted": asdict(predicted),
        "error_percent": errors(run, predicted),
    }


def _work(door: Door, token: str, end: float, think: float, tokens: int, answers: list[Answer], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a pause, no secret
    session = Session(door, token)
    time.sleep(min(chance.expovariate(1 / think) if think else 0, max(0, end - time.monotonic())))
    while time.monotonic() < end:
        answer = _chat(session, tokens)
        answers.append(answer)
        pause = (chance.expovariate(1 / think) if think else 0) if answer.tokens else RETRY_SECONDS
        time.sleep(max(0, min(pause, end - time.monotonic())))
    session.close()


def _chat(session: Session, tokens: int) -> Answer:
    """One streamed chat, its pieces counted: each is a token."""
    began = time.monotonic()
    first, pieces = 0.0, 0
    question = {"model": MODEL, "messages": [{"role": "user", "content": _ASKED}], "stream": True, "max_tokens": tokens}
    try:
        response = session.send("POST", "/api/chat/completions", question)
        while line := response.readline():
            said = line.decode("utf-8", "replace").removeprefix("data:").strip()
            if not line.startswith(b"data:") or not said or said == "[DONE]":
                continue
            if any(choice.get("delta", {}).get("content") for choice in json.loads(said).get("choices", [])):
                pieces += 1
                first = first or time.monotonic()
    except (OSError, HTTPException):
        session.close()
        return Answer(began, began, time.monotonic(), 0)
    return Answer(began, first, time.monotonic(), pieces)


def main(arguments: Sequence[str]) -> int:
    from ollama_gpu import instance_types, secret_values
    from ollama_gpu.capacity import host as hosts
    from ollama_gpu.context import open_context
    from ollama_gpu.lab.plane import Plane

    parser = ArgumentParser(prog="python -m tests.bench.capacity")
    parser.add_argument("--users", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--think", type=float, default=5)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--instances", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    context = open_context("local")
    administrator = secret_values.administrator(context.environment, context.contract, context.aws)
    door = Plane(context).door
    # one engine an instance, whatever its type has: the lab has no GPU
    host = hosts.of(context.paths, context.environment, instance_types.of("g5.xlarge"))
    token = sign_in(door, administrator)
    found = compare(door, token, host, given.instances, given.users, given.minutes, given.think, given.tokens)
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
