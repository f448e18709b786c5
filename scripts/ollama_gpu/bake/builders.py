"""Find builders that an earlier bake left behind, and whether that bake still runs.

A bake labels its builder with the process that runs the bake. If that process was on this machine and has ended, the
builder is removed. A process on another machine cannot be checked, so the bake's age decides.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from ollama_gpu.core.errors import UserError

ABANDONED_AFTER_SECONDS = 4 * 3600.0  # a cold bake with CUDA's toolkit and a DKMS build takes well under two hours


@dataclass(frozen=True)
class Maker:
    """The process that runs a bake. ``started`` is its start time in seconds since 1970."""

    host: str
    pid: int
    started: int

    @property
    def label(self) -> str:
        """The value of the builder's label or tag: ``host/pid/started``."""
        return f"{self.host}/{self.pid}/{self.started}"

    @classmethod
    def parse(cls, label: str) -> Maker | None:
        """The maker that a label names; None if it names none."""
        host, _, rest = label.partition("/")
        pid, _, started = rest.partition("/")
        if not (host and pid.isdigit() and started.isdigit()):
            return None
        return cls(host, int(pid), int(started))


@dataclass(frozen=True)
class Builder:
    """A container or an instance in which an image is or was being built.

    ``ours`` is False for a container of another checkout, whose ENV=local has a separate embedded AWS.
    """

    identifier: str
    maker: str
    ours: bool = True


def this_maker() -> Maker:
    """The outermost ansible-playbook process above this program, or the parent process if there is none."""
    process = psutil.Process(os.getppid())
    found = process
    for ancestor in [process, *process.parents()]:
        if any("ansible-playbook" in part for part in ancestor.cmdline()[:2]):
            found = ancestor  # no break: Ansible's workers are forks with the same command line
    return Maker(socket.gethostname(), found.pid, int(found.create_time()))


def abandoned(builders: Iterable[Builder], takeover: bool, alive: Callable[[Maker], bool], now: float) -> list[str]:
    """The ids of the builders to remove. A builder of another checkout whose bake may still run is skipped.

    Raises UserError when a builder of this checkout belongs to a bake that may still run, unless ``takeover`` is true.
    """
    removable = []
    for builder in builders:
        maker = Maker.parse(builder.maker)
        if maker is None or not alive(maker) or (builder.ours and takeover):
            removable.append(builder.identifier)
            continue
        if not builder.ours:
            continue
        minutes = int((now - maker.started) / 60)
        raise UserError(
            f"Another bake uses {builder.identifier}: process {maker.pid} on {maker.host}, for {minutes} minutes.",
            "Wait for it to end. Only if you are certain that it is dead, add `-e bake_takeover=true`.",
        )
    return removable


def alive(maker: Maker) -> bool:
    """Whether a bake may still run. One on another machine counts as running until it is too old."""
    if maker.host != socket.gethostname():
        return time.time() - maker.started < ABANDONED_AFTER_SECONDS
    try:
        process = psutil.Process(maker.pid)
        # Tolerance: psutil computes the start from the boot time, which clock corrections change.
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - maker.started) < 60
    except psutil.NoSuchProcess:
        return False
