"""Doctor's rows about what the lab of ENV=local needs. Warnings at most: LAB=off does without all of it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from ollama_gpu.checks import Check
from ollama_gpu.errors import UserError
from ollama_gpu.lab.docker import Docker
from ollama_gpu.lab.engine import WITHOUT, Situation, actions, look
from ollama_gpu.lab.front_door.ports import ADDRESS, HTTP_VARIABLE, HTTPS_VARIABLE, ports

MEMORY_GIB = 8
"""Two instances, stores, front door and embedded AWS take 4 GiB, a bake beside them 2 more."""

FREE_GIB = 20
"""Images of the lab and of the instances (1.5 GB a version), the model, and the first build's layers."""


def rows(lab_runs: bool) -> list[Check]:
    """Container engine, memory, disk and the front door's ports; ``lab_runs``: the ports are the lab's own."""
    docker = Docker()
    version = docker.version()
    return [
        engine(version, None if version else look(docker)),
        memory(_memory_gib()),
        _disk(),
        *([] if lab_runs else _ports()),
    ]


def engine(version: str | None, seen: Situation | None) -> Check:
    """Whether a Docker Engine answers, or what a deploy will do about it; ``seen``: the machine where none answers."""
    if seen is None:
        return Check("container engine", "ok", f"Docker {version}")
    try:
        todo = actions(seen)
    except UserError as error:
        return Check("container engine", "warning", error.message, error.remedy)
    does = "installs and starts" if "install" in todo else "starts"
    return Check("container engine", "ok", f"none answers ({seen.why_not}); a deploy {does} one")


def memory(gib: float) -> Check:
    """Whether this machine has the memory of two instances."""
    if gib >= MEMORY_GIB:
        return Check("memory", "ok", f"{gib:.0f} GiB")
    return Check("memory", "warning", f"{gib:.1f} GiB; two instances want {MEMORY_GIB}", f"Free some. {WITHOUT}")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _disk() -> Check:
    folder = next(path for path in ("/var/lib/docker", "/var/lib", "/") if Path(path).is_dir())
    free = shutil.disk_usage(folder).free / 2**30
    if free >= FREE_GIB:
        return Check("disk of the lab", "ok", f"{free:.0f} GiB free for {folder}")
    seen = f"{free:.1f} GiB free for {folder}; the lab's images want {FREE_GIB}"
    return Check("disk of the lab", "warning", seen, f"Free some: docker image prune. {WITHOUT}")


def _ports() -> list[Check]:
    try:
        chosen = ports()
    except UserError as error:
        return [Check("ports", "warning", error.message, error.remedy)]
    taken = [
        f"{number} ({variable})"
        for number, variable in ((chosen.https, HTTPS_VARIABLE), (chosen.http, HTTP_VARIABLE))
        if not is_free(number)
    ]
    if not taken:
        return [Check("ports", "ok", f"{chosen.https} and {chosen.http} of {ADDRESS} are free")]
    remedy = f"Choose others: {HTTPS_VARIABLE}=9443 {HTTP_VARIABLE}=9080 make deploy ENV=local"
    return [Check("ports", "warning", f"{' and '.join(taken)} of {ADDRESS} taken by another program", remedy)]


def is_free(port: int) -> bool:
    """Whether nobody listens at a port of this machine's loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True
