"""How many streams one process of Open WebUI carries, and several: until p95 of the first token is two seconds.

A model on this machine's processors would be the limit long before. So extra processes, of the very image, settings and
secrets of an instance's own, ask a stand-in that streams as an Ollama with a GPU does (`inside/stand_in.py`). Clients,
stand-in, processes, and all else share this machine's processors: what each takes of them is told, and a machine with
more of them carries more. Chats come by the API, not by a browser's socket, which costs several times as much
(docs/capacity.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ollama_gpu.errors import UserError
from tests.bench.instance import FOLDER, Instance
from tests.bench.measure import quantile, say
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
    """Ever more streams, until the limit is passed."""
    ports = [_FIRST_PORT + number for number in range(processes)]
    rows: list[dict[str, Any]] = []
    with stand_in(instance) as pid, processes_at(instance, ports) as pids:
        programs = {"stand-in": pid} | pids
        level(instance, token, ports, programs, processes, seconds=1)  # what is done once is done
        for streams in LEVELS:
            say(f"streams: {streams} on {processes} of Open WebUI's processes")
            rows.append(level(instance, token, ports, programs, streams))
            if not rows[-1]["below_limit"]:
                break
        while (middle := between(rows)) is not None:
            say(f"streams: {middle} on {processes} of Open WebUI's processes")
            rows.append(level(instance, token, ports, programs, middle))
    return sorted(rows, key=lambda each: int(each["streams"]))


def between(rows: Sequence[dict[str, Any]]) -> int | None:
    """What to try next between the most that was below the limit and the fewest beyond; None when that is near."""
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
    """So many streams for so long."""
    asked = {
        "token": token, "model": MODEL, "ports": list(ports), "streams": streams, "tokens": TOKENS,
        "answer_seconds": ANSWER_SECONDS, "seconds": seconds, "pids": programs,
    }  # fmt: skip
    return row(streams, instance.python("streams", asked))


def row(streams: int, told: dict[str, Any]) -> dict[str, Any]:
    """The figures of what `inside/streams.py` tells; who had no first token waited longer than anybody."""
    good = [chat for chat in told["chats"] if not chat["failure"]]
    failures = sorted({chat["failure"] for chat in told["chats"] if chat["failure"]})
    firsts = [chat["first"] for chat in good] + [float("inf")] * (len(told["chats"]) - len(good))
    p95 = quantile(firsts, 0.95)
    used = told["processor_seconds"]
    processes = sum(seconds for name, seconds in used.items() if name.startswith("open-webui"))
    return {
        "streams": streams,
        "chats": len(told["chats"]),
        "failed": len(told["chats"]) - len(good),
        "failures": failures,
        "first_token_p50_s": finite(quantile(firsts, 0.5)),
        "first_token_p95_s": finite(p95),
        "below_limit": p95 < LIMIT_SECONDS,
        "tokens_per_second_a_stream": round(rate(good), 1),
        "open_webui_cpu_ms_a_chat": round(1000 * processes / max(1, told["begun"])),
        "processors": told["processors"],
        "cores": {name: round(seconds / told["seconds"], 2) for name, seconds in used.items()},
    }


def finite(seconds: float) -> float | None:
    """To the millisecond; None where the first token never came."""
    return round(seconds, 3) if math.isfinite(seconds) else None


def rate(chats: Sequence[dict[str, Any]]) -> float:
    """What half of the streams got at least, in tokens a second; 0 where no chat ended well."""
    rates = [(TOKENS - 1) / (chat["total"] - chat["first"]) for chat in chats if chat["total"] > chat["first"]]
    return quantile(rates, 0.5) if rates else 0.0


def most(rows: Sequence[dict[str, Any]]) -> str:
    """The most below the fewest that were too many, and whether there were any."""
    beyond = min((each["streams"] for each in rows if not each["below_limit"]), default=math.inf)
    good = max((each["streams"] for each in rows if each["streams"] < beyond), default=None)
    found = "none" if good is None else str(good)
    return found if math.isfinite(beyond) else f"{found} or more: none tried was too many"


@contextmanager
def stand_in(instance: Instance) -> Iterator[int]:
    """The model's stand-in, by its pid. SystemExit where it was itself too late to measure anything by it."""
    asked = {
        "port": _STAND_IN_PORT,
        "gateway": instance.serving.context.contract.ports["gateway"],
        "first_token_seconds": FIRST_TOKEN_SECONDS,
        "tokens_per_second": TOKENS_PER_SECOND,
    }
    with instance.background("stand_in", asked) as running:
        yield running.pid
    late = quantile(running.result["late"], 0.95)
    say(f"streams: p95 of the stand-in's own delay of a first token {1000 * late:.0f} ms")
    if late > LIMIT_SECONDS / 4:
        raise SystemExit(f"The stand-in itself was {late:.1f} s late: this machine is too busy to measure streams.")


@contextmanager
def processes_at(instance: Instance, ports: Sequence[int]) -> Iterator[dict[str, int]]:
    """Extra processes of Open WebUI that ask the stand-in, by name and pid; nothing is left of them."""
    containers = {port: f"open-webui-{port}" for port in ports}
    try:
        for port, container in containers.items():
            _remove(instance, container)
            url = f"http://127.0.0.1:{_STAND_IN_PORT}"
            instance.run("python3", "-I", f"{FOLDER}/open_webui.py", str(port), url, FOLDER)
        for port in ports:
            _wait(instance, port)
        asked = ("docker", "inspect", "--format", "{{.State.Pid}}")
        yield {container: int(instance.run(*asked, container)) for container in containers.values()}
    finally:
        for container in containers.values():
            _remove(instance, container)


def _remove(instance: Instance, container: str) -> None:
    with suppress(UserError):  # there is none
        instance.run("docker", "rm", "--force", container)


def _wait(instance: Instance, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not fleet.open_webui_is_ready(instance.serving, instance.name, port):
        if time.monotonic() > deadline:
            raise SystemExit(f"Open WebUI at port {port} is not ready after {READY_SECONDS:.0f} s.")
        time.sleep(1)
