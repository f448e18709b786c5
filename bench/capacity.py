"""Compare the simulator with the running lab: `python -m bench.capacity [--users N] [--minutes M] [--think S]`

First measures the lab with one user, with half of its slots busy and with all of them; these figures are the
simulator's input. Then the given number of users chat for a while, with pauses. The same run is simulated, and the
difference is the simulator's error. The instances share this machine's cores, which the simulator does not know:
the speed of an instance at N streams is the speed measured while the other instances served N streams too. Needs
ENV=local with its lab, and no other load on it.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from http.client import HTTPException
from typing import Any

from bench.measure import say
from bench.streams import RETRY_SECONDS, Answer, Figures, measure
from ollama_gpu.catalogue import instance_types
from ollama_gpu.core.chat import ChatAddress
from ollama_gpu.planning import engine, priors, simulation
from ollama_gpu.planning import host as hosts
from ollama_gpu.planning.day import Day
from ollama_gpu.planning.demand import Demand
from ollama_gpu.planning.host import Host
from ollama_gpu.planning.priors import Added, Priors
from ollama_gpu.planning.quantiles import Quantiles
from ollama_gpu.planning.scaling import Policies
from ollama_gpu.planning.simulation import Service
from tests.serving import fleet
from tests.serving.conftest import Serving, running
from tests.serving.traffic import MODEL, Session, sign_in

USERS = 12
MINUTES = 3.0
THINK_SECONDS = 5.0
TOKENS = 60
_DAYS = 20  # simulated runs, each with another seed: a run of minutes is a small sample
_ASKED = "Tell me about the sea."


@dataclass(frozen=True)
class Calibration:
    """Figures of the lab with one user, with half of its slots busy and with all; keyed by streams per instance."""

    instances: int
    points: dict[int, Figures]


def predict(seen: Calibration, host: Host, users: int, seconds: float, think: float, tokens: float) -> Figures:
    """Return the simulator's prediction of a run, the mean over many seeds. ``host`` is one instance."""
    known = calibrated(seen)
    rates = {streams: point.stream_rate for streams, point in seen.points.items()}
    # The overhead of several processes is in the calibration, which measured the instance as a whole.
    service = Service(
        engine.measured(rates, 1e9, host.slots, known), replace(host, processes=1), vcpus=1, boot_seconds=1
    )
    never = {"cpu": 1e9, "inference load": 1e9, "requests": 1e9}
    size = seen.instances
    fixed = Policies(size, size, size, 0, warmup_seconds=0, drain_seconds=1, targets=never)
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
        stream_rate=service.engine.stream_rates[min(-(-users // size), host.slots)],
    )


def calibrated(seen: Calibration) -> Priors:
    """The priors, updated with the lab's figures: delay before the first token by streams, answers of one length."""
    known = priors.load()
    points = seen.points.values()
    added = Added(
        origin="measured",
        source="bench.capacity",
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
    """By how many percent the prediction exceeds the measurement."""
    return {
        name: round(100 * (getattr(predicted, name) / getattr(seen, name) - 1), 1)
        for name in ("chats_per_second", "first_token_p50", "first_token_p95")
    }


def compare(
    chat_address: ChatAddress,
    token: str,
    host: Host,
    instances: int,
    users: int,
    minutes: float,
    think: float,
    tokens: int,
) -> dict[str, Any]:
    """Calibrate, measure and predict. Returns the figures of each step and the errors in percent."""
    slots = instances * host.all_slots
    numbers = {max(1, people // instances): people for people in (slots, slots // 2, 1)}

    def chatter() -> _Chatter:
        return _Chatter(chat_address, token, tokens)

    seen = Calibration(
        instances, {streams: measure(chatter, people, 45) for streams, people in sorted(numbers.items())}
    )
    run = measure(chatter, users, 60 * minutes, think)
    predicted = predict(seen, host, users, 60 * minutes, think, run.tokens)
    return {
        "calibration": asdict(seen),
        "seen": asdict(run),
        "predicted": asdict(predicted),
        "error_percent": errors(run, predicted),
    }


class _Chatter:
    """One browser. Counts the pieces of an answer: each is a token."""

    def __init__(self, chat_address: ChatAddress, token: str, tokens: int) -> None:
        self._session = Session(chat_address, token)
        self._tokens = tokens

    def chat(self) -> Answer:
        began = time.monotonic()
        first, pieces = 0.0, 0
        messages = [{"role": "user", "content": _ASKED}]
        question = {"model": MODEL, "messages": messages, "stream": True, "max_tokens": self._tokens}
        try:
            response = self._session.send("POST", "/api/chat/completions", question)
            while line := response.readline():
                data = line.decode("utf-8", "replace").removeprefix("data:").strip()
                if not line.startswith(b"data:") or not data or data == "[DONE]":
                    continue
                if any(choice.get("delta", {}).get("content") for choice in json.loads(data).get("choices", [])):
                    pieces += 1
                    first = first or time.monotonic()
        except (OSError, HTTPException):
            self.close()
            return Answer(began, began, time.monotonic(), 0)
        return Answer(began, first, time.monotonic(), pieces)

    def close(self) -> None:
        self._session.close()


def figures(
    serving: Serving, users: int = USERS, minutes: float = MINUTES, think: float = THINK_SECONDS, tokens: int = TOKENS
) -> dict[str, Any]:
    """Measure the lab with its fleet held at its current size. Takes ``minutes`` and about three more."""
    context = serving.context
    # One engine per instance, whatever its type has: the lab has no GPU.
    host = hosts.of(context.paths, context.environment, instance_types.of("g5.xlarge"))
    token = sign_in(serving.chat_address, serving.administrator)
    with fleet.suspended(serving, "AlarmNotification"), fleet.suspended(serving, "HealthCheck"):
        instances = len(serving.healthy())
        say(f"capacity: {instances} instances of {host.all_slots} slots, {users} users for {minutes:g} minutes")
        found = compare(serving.chat_address, token, host, instances, users, minutes, think, tokens)
    return {f"capacity, {users} users: {name.replace('_', ' ')}": value for name, value in found.items()}


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m bench.capacity")
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--think", type=float, default=THINK_SECONDS)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = figures(running(), given.users, given.minutes, given.think, given.tokens)
    if given.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
