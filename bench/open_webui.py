"""How many streams one Open WebUI process carries, and several: until p95 of the first token reaches two seconds.

A model on this machine's processors would be the limit long before. So extra processes, with the image, settings and
secrets of an instance's own, query a simulated Ollama that streams as one with a GPU does (`inside/stand_in.py`).
Clients, simulated Ollama, processes and everything else share this machine's processors. The report shows the share of
each; a machine with more processors carries more. Chats use the API, not a browser's socket, which costs several times
as much (docs/measurements.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from bench.instance import FOLDER, Instance
from bench.measure import quantile, say
from ollama_gpu.core.errors import UserError
from tests.serving import fleet
from tests.serving.traffic import MODEL

LIMIT_SECONDS = 2.0
LEVELS = (4, 8, 16, 32, 64, 128, 256)
PROCESSES = (1, 2)
SECONDS = 20.0
TOKENS = 100
TOKENS_PER_SECOND = 30.0
FIRST_TOKEN_SECONDS = 0.05
ANSWER_SECONDS = FIRST_TOKEN_SECONDS + (TOKENS - 1) / TOKENS_PER_SECOND
READY_SECONDS = 180.0

_STAND_IN_PORT = 11590
_FIRST_PORT = 8181


def figures(instance: Instance, token: str) -> dict[str, Any]:
    """A row for each number of streams, for one process and for several, and the most that stayed below the limit."""
    found: dict[str, Any] = {
        "streams: the model": f"a stand-in: first token after {FIRST_TOKEN_SECONDS * 1000:.0f} ms, then "
        f"{TOKENS_PER_SECOND:.0f} tokens/s a stream, answers of {TOKENS} tokens"
    }
    for processes in PROCESSES:
        rows = levels(instance, token, processes)
        name = f"streams, {processes} process{'es' if processes > 1 else ''} of Open WebUI"
        found[name] = rows
        found[f"{name}: most with p95 of the first token < {LIMIT_SECONDS:.0f} s"] = most(rows)
    return found


def levels(instance: Instance, token: str, processes: int) -> list[dict[str, Any]]:
    """Increase the number of streams until the limit is passed."""
    ports = [_FIRST_PORT + number for number in range(processes)]
    rows: list[dict[str, Any]] = []
    with stand_in(instance) as pid, processes_at(instance, ports) as pids:
        programs = {"stand-in": pid} | pids
        level(instance, token, ports, programs, processes, seconds=1)  # warm-up: one-time work is done here
        for streams in LEVELS:
            say(f"streams: {streams} on {processes} of Open WebUI's processes")
            rows.append(level(instance, token, ports, programs, streams))
            if not rows[-1]["below_limit"]:
                break
        while (middle := next_level(rows)) is not None:
            say(f"streams: {middle} on {processes} of Open WebUI's processes")
            rows.append(level(instance, token, ports, programs, middle))
    return sorted(rows, key=lambda each: int(each["streams"]))


def next_level(rows: Sequence[dict[str, Any]]) -> int | None:
    """The next number to try between the highest below the limit and the lowest above it; None if they are close."""
    beyond = min((each["streams"] for each in rows if not each["below_limit"]), default=None)
    if beyond is None:
        return None
    good = max((each["streams"] for each in rows if each["below_limit"] and each["streams"] < beyond), default=0)
    return (good + beyond) // 2 if good and beyond - good > good // 4 else None


def level(
    instance: Instance,
    token: str,
    ports: Sequence[int],
    programs: dict[str, int],
    streams: int,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """Run ``streams`` streams for ``seconds``."""
    request = {
        "token": token, "model": MODEL, "ports": list(ports), "streams": streams, "tokens": TOKENS,
        "answer_seconds": ANSWER_SECONDS, "seconds": seconds, "pids": programs,
    }  # fmt: skip
    return row(streams, instance.python("streams", request))


def row(streams: int, result: dict[str, Any]) -> dict[str, Any]:
    """The figures of a result of `inside/streams.py`. A chat without a first token counts as the slowest."""
    good = [chat for chat in result["chats"] if not chat["failure"]]
    failures = sorted({chat["failure"] for chat in result["chats"] if chat["failure"]})
    firsts = [chat["first"] for chat in good] + [float("inf")] * (len(result["chats"]) - len(good))
    p95 = quantile(firsts, 0.95)
    used = result["processor_seconds"]
    processes = sum(seconds for name, seconds in used.items() if name.startswith("open-webui"))
    return {
        "streams": streams,
        "chats": len(result["chats"]),
        "failed": len(result["chats"]) - len(good),
        "failures": failures,
        "first_token_p50_s": finite(quantile(firsts, 0.5)),
        "first_token_p95_s": finite(p95),
        "below_limit": p95 < LIMIT_SECONDS,
        "tokens_per_second_a_stream": round(rate(good), 1),
        "open_webui_cpu_ms_a_chat": round(1000 * processes / max(1, result["begun"])),
        "processors": result["processors"],
        "cores": {name: round(seconds / result["seconds"], 2) for name, seconds in used.items()},
    }


def finite(seconds: float) -> float | None:
    """Round to milliseconds; None if the first token never came."""
    return round(seconds, 3) if math.isfinite(seconds) else None


def rate(chats: Sequence[dict[str, Any]]) -> float:
    """Median tokens per second of the streams; 0 if no chat succeeded."""
    rates = [(TOKENS - 1) / (chat["total"] - chat["first"]) for chat in chats if chat["total"] > chat["first"]]
    return quantile(rates, 0.5) if rates else 0.0


def most(rows: Sequence[dict[str, Any]]) -> str:
    """The highest number below the lowest that was too many, and whether any was too many."""
    beyond = min((each["streams"] for each in rows if not each["below_limit"]), default=math.inf)
    good = max((each["streams"] for each in rows if each["streams"] < beyond), default=None)
    found = "none" if good is None else str(good)
    return found if math.isfinite(beyond) else f"{found} or more: none tried was too many"


@contextmanager
def stand_in(instance: Instance) -> Iterator[int]:
    """Start the simulated Ollama and yield its pid. Raises SystemExit if its own delays spoil the measurement."""
    request = {
        "port": _STAND_IN_PORT,
        "gateway": instance.serving.context.contract.ports["gateway"],
        "first_token_seconds": FIRST_TOKEN_SECONDS,
        "tokens_per_second": TOKENS_PER_SECOND,
    }
    with instance.background("stand_in", request) as running:
        yield running.pid
    late = quantile(running.result["late"], 0.95)
    say(f"streams: p95 of the simulated Ollama's own delay of a first token {1000 * late:.0f} ms")
    if late > LIMIT_SECONDS / 4:
        raise SystemExit(f"The simulated Ollama was {late:.1f} s late: this machine is too busy to measure streams.")


@contextmanager
def processes_at(instance: Instance, ports: Sequence[int]) -> Iterator[dict[str, int]]:
    """Start extra Open WebUI processes that query the simulated Ollama; yields pids by name."""
    containers = {port: f"open-webui-{port}" for port in ports}
    try:
        for port, container in containers.items():
            _remove(instance, container)
            url = f"http://127.0.0.1:{_STAND_IN_PORT}"
            instance.run("python3", "-I", f"{FOLDER}/open_webui.py", str(port), url, FOLDER)
        for port in ports:
            _wait(instance, port)
        inspect = ("docker", "inspect", "--format", "{{.State.Pid}}")
        yield {container: int(instance.run(*inspect, container)) for container in containers.values()}
    finally:
        for container in containers.values():
            _remove(instance, container)


def _remove(instance: Instance, container: str) -> None:
    with suppress(UserError):  # it does not exist
        instance.run("docker", "rm", "--force", container)


def _wait(instance: Instance, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not fleet.open_webui_is_ready(instance.serving, instance.name, port):
        if time.monotonic() > deadline:
            raise SystemExit(f"Open WebUI at port {port} is not ready after {READY_SECONDS:.0f} s.")
        time.sleep(1)
