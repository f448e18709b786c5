"""Resident memory of everything that ENV=local runs, in MiB: by program in an instance, by container, by process.

These are sums of resident sets: memory that processes share is counted in each of them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psutil

from ollama_gpu.local.lab import mirror, names
from ollama_gpu.local.lab.lab import Lab
from tests.serving.conftest import Serving


def figures(serving: Serving, when: str) -> dict[str, Any]:
    """The memory that is resident now."""
    instances = {instance: programs(_processes(serving, instance)) for instance in serving.instances()}
    containers = {serving.container(instance): round(sum(each.values())) for instance, each in instances.items()}
    listed = serving.docker.output("ps", "--format", "{{.Names}}").split()
    prefix = f"{names.prefix(serving.context)}-"
    for name in listed:
        if name not in containers and (name.startswith(prefix) or name == mirror.NAME):
            top = serving.docker.output("top", name, "-eo", "pid,rss,comm").splitlines()[1:]
            containers[name] = round(sum(int(line.split()[1]) for line in top) / 1024)
    record = json.loads((serving.context.paths.embedded_aws / "server.json").read_text(encoding="utf-8"))
    own = {
        "embedded AWS": _resident(record["pid"]),
        "lab's follower": _resident(Lab(serving.context).follower.running()),
    }
    first, programs_of_first = next(iter(instances.items()))
    return {
        f"memory {when}: programs of {first}, MiB": {name: round(value) for name, value in programs_of_first.items()},
        f"memory {when}: containers, MiB": dict(sorted(containers.items())),
        f"memory {when}: processes of this machine, MiB": own,
        f"memory {when}: everything, MiB": sum(containers.values()) + sum(own.values()),
    }


def programs(lines: Iterable[str]) -> dict[str, float]:
    """MiB by program, the largest first, from lines of resident KiB, unit and arguments."""
    sums: dict[str, float] = defaultdict(float)
    for line in lines:
        resident, unit, arguments = line.split(None, 2)
        sums[_program(unit, arguments)] += int(resident) / 1024
    return dict(sorted(sums.items(), key=lambda each: -each[1]))


def _program(unit: str, arguments: str) -> str:
    if "/open-webui/serve.py" in arguments and not arguments.startswith("docker "):
        return "Open WebUI's process"
    if unit.startswith("ollama@"):
        return "Ollama's runners" if " runner " in arguments else "Ollama's server"
    if unit == "haproxy.service":
        return "gateway"
    return unit.removesuffix(".service") if unit.endswith(".service") else arguments.split()[0]


def _processes(serving: Serving, instance: str) -> list[str]:
    lines = serving.run(instance, "ps", "-ww", "-eo", "rss=,unit=,args=").splitlines()
    return [line for line in lines if not line.rstrip().endswith("rss=,unit=,args=")]


def _resident(pid: int | None) -> int:
    return round(psutil.Process(pid).memory_info().rss / 2**20) if pid else 0
