"""The doctor's checks for the lab of ENV=local. They give warnings at most, because LAB=off needs none of it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from ollama_gpu.bake.forecast import Forecast
from ollama_gpu.core.checks import Check
from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.engine import WITHOUT, Situation, actions, look
from ollama_gpu.local.lab.front_door.ports import ADDRESS, HTTP_VARIABLE, HTTPS_VARIABLE, ports

MEMORY_GIB = 8
RUNNING_GIB = 4
"""Two instances, stores, front door and embedded AWS: measured, docs/measurements.md."""
BAKE_GIB = 2

USED_GIB = 8
"""Images (4.7 GB) and two instances' volumes (1.1), by `docker images` and `docker system df`, and the cache (2.6)."""

FREE_GIB = 20
"""Space for images of the lab and of instances (1.5 GB per version), the model, and the layers of the first build."""


def rows(lab_runs: bool, next_deploy: Forecast) -> list[Check]:
    """Return the checks of container engine, memory, disk and, unless the lab runs and uses them, the ports."""
    docker = Docker()
    version = docker.version()
    return [
        engine(version, None if version else look(docker)),
        *deploy(next_deploy),
        memory(_memory_gib()),
        disk(*_free_space(), bool(next_deploy.builds)),
        *([] if lab_runs else _ports()),
    ]


def deploy(forecast: Forecast) -> list[Check]:
    """Tell how long the next deploy takes, and what it downloads and builds first."""
    rows = [Check("next deploy", "ok", forecast.headline)]
    if forecast.builds:
        rows.append(
            Check("made first", "ok", f"{', '.join(forecast.builds)} (built, where it does not say downloaded)")
        )
    return rows


def engine(version: str | None, seen: Situation | None) -> Check:
    """Check whether a Docker Engine answers or a deploy can start one; ``seen`` is the machine if none answers."""
    if seen is None:
        return Check("container engine", "ok", f"Docker {version}")
    try:
        todo = actions(seen)
    except UserError as error:
        return Check("container engine", "warning", error.message, error.remedy)
    does = "installs and starts" if "install" in todo else "starts"
    return Check("container engine", "ok", f"none answers ({seen.why_not}); a deploy {does} one")


def memory(gib: float) -> Check:
    """Check whether this machine has enough memory for two instances."""
    if gib >= MEMORY_GIB:
        return Check("memory", "ok", f"{gib:.0f} GiB; a running ENV=local uses {RUNNING_GIB}, a bake {BAKE_GIB} more")
    return Check("memory", "warning", f"{gib:.1f} GiB; two instances need {MEMORY_GIB}", f"Free some. {WITHOUT}")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _free_space() -> tuple[str, float]:
    folder = next(path for path in ("/var/lib/docker", "/var/lib", "/") if Path(path).is_dir())
    return folder, shutil.disk_usage(folder).free / 2**30


def disk(folder: str, free: float, first: bool) -> Check:
    """Check whether the images fit, before a ``first`` deploy all of them."""
    if free >= FREE_GIB:
        uses = f"; a first deploy uses about {USED_GIB}" if first else ""
        return Check("disk of the lab", "ok", f"{free:.0f} GiB free for {folder}{uses}")
    seen = f"{free:.1f} GiB free for {folder}; the lab's images need {FREE_GIB}"
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
    """Return whether a port of this machine's loopback address is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    return True
