"""The simulator against the running lab: `python -m tests.bench.capacity [--users N] [--minutes M] [--think S]`

The lab is measured with one user, with half of its slots busy and with all, which gives the simulator's input; then so
many users as asked think and chat for a while, the same is simulated, and the difference is the simulator's error. The
instances share this machine's cores, which the simulator does not know: an instance's speed at so many streams is what
was seen while the others served as many. Needs ENV=local with its lab, and nobody else on it.
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

from ollama_gpu import instance_types
from ollama_gpu.capacity import engine, priors, simulation
from ollama_gpu.capacity import host as hosts
from ollama_gpu.capacity.day import Day
from ollama_gpu.capacity.demand import Demand
from ollama_gpu.capacity.host import Host
from ollama_gpu.capacity.priors import Added, Priors
from ollama_gpu.capacity.quantiles import Quantiles
from ollama_gpu.capacity.scaling import Policies
from ollama_gpu.capacity.simulation import Service
from ollama_gpu.chat import Door
from tests.bench.measure import say
from tests.bench.streams import RETRY_SECONDS, Answer, Figures, measure
from tests.serving import fleet
from tests.serving.conftest import Serving, running
from tests.serving.traffic import MODEL, Session, sign_in

USERS = 12
MINUTES = 3.0
THINK_SECONDS = 5.0
TOKENS = 60
_DAYS = 20  # simulated with as many seeds: a run of minutes is a small sample
_ASKED = "Tell me about the sea."


@dataclass(frozen=True)
class Calibration:
    """The lab with one user, with half of its slots busy and with all; by the streams of one of ``instances``."""

    instances: int
    points: dict[int, Figures]


def predict(seen: Calibration, host: Host, users: int, seconds: float, think: float, tokens: float) -> Figures:
    """What the simulator says of a run, the mean of many seeds. ``host`` is one instance."""
    known = calibrated(seen)
    rates = {streams: point.stream_rate for streams, point in seen.points.items()}
    # what several processes add is in the calibration, which saw the instance as a whole
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
    """The priors with the lab's own: what comes before the first token by streams, answers all alike."""
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
    numbers = {max(1, people // instances): people for people in (slots, slots // 2, 1)}

    def chatter() -> _Chatter:
        return _Chatter(door, token, tokens)

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
    """One browser; the pieces of an answer are counted: each is a token."""

    def __init__(self, door: Door, token: str, tokens: int) -> None:
        self._session = Session(door, token)
        self._tokens = tokens

    def chat(self) -> Answer:
        began = time.monotonic()
        first, pieces = 0.0, 0
        messages = [{"role": "user", "content": _ASKED}]
        question = {"model": MODEL, "messages": messages, "stream": True, "max_tokens": self._tokens}
        try:
            response = self._session.send("POST", "/api/chat/completions", question)
            while line := response.readline():
                said = line.decode("utf-8", "replace").removeprefix("data:").strip()
                if not line.startswith(b"data:") or not said or said == "[DONE]":
                    continue
                if any(choice.get("delta", {}).get("content") for choice in json.loads(said).get("choices", [])):
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
    """The lab as it is, its fleet neither grown nor mended meanwhile. Takes ``minutes`` and about three more."""
    context = serving.context
    # one engine an instance, whatever its type has: the lab has no GPU
    host = hosts.of(context.paths, context.environment, instance_types.of("g5.xlarge"))
    token = sign_in(serving.door, serving.administrator)
    with fleet.suspended(serving, "AlarmNotification"), fleet.suspended(serving, "HealthCheck"):
        instances = len(serving.healthy())
        say(f"capacity: {instances} instances of {host.all_slots} slots, {users} users for {minutes:g} minutes")
        found = compare(serving.door, token, host, instances, users, minutes, think, tokens)
    return {f"capacity, {users} users: {name.replace('_', ' ')}": value for name, value in found.items()}


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="python -m tests.bench.capacity")
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
