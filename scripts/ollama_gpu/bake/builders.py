"""Builders that an earlier bake left behind, and whether that bake still runs.

A bake marks its builder with who made it. One whose process is gone on this machine was killed and is removed; one on
another machine cannot be asked, so that its age decides.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from ollama_gpu.errors import UserError

ABANDONED_AFTER_SECONDS = 4 * 3600.0  # a cold bake with CUDA's toolkit and a DKMS build takes well under two hours


@dataclass(frozen=True)
class Maker:
    """Who bakes: a process on a machine. ``started`` is seconds since 1970, also of the process."""

    host: str
    pid: int
    started: int

    @property
    def label(self) -> str:
        """As one value of a label or a tag: ``host/pid/started``."""
        return f"{self.host}/{self.pid}/{self.started}"

    @classmethod
    def parse(cls, label: str) -> Maker | None:
        host, _, rest = label.partition("/")
        pid, _, started = rest.partition("/")
        if not (host and pid.isdigit() and started.isdigit()):
            return None
        return cls(host, int(pid), int(started))


@dataclass(frozen=True)
class Builder:
    """A container or an instance on which an image is, or was, being made.

    ``ours`` is False for a container of another checkout, whose ENV=local has an AWS of its own.
    """

    identifier: str
    maker: str
    ours: bool = True


def this_maker() -> Maker:
    """The ansible-playbook process that this program is a descendant of; the parent where there is none."""
    process = psutil.Process(os.getppid())
    found = process
    for ancestor in [process, *process.parents()]:
        if any("ansible-playbook" in part for part in ancestor.cmdline()[:2]):
            found = ancestor  # the outermost one: the workers are forks with the same command line
    return Maker(socket.gethostname(), found.pid, int(found.create_time()))


def abandoned(builders: Iterable[Builder], takeover: bool, alive: Callable[[Maker], bool], now: float) -> list[str]:
    """The builders that may be removed. Raises UserError when one of ours belongs to a bake that may still run."""
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
            f"Another bake works on {builder.identifier}: process {maker.pid} on {maker.host}, for {minutes} minutes.",
            "Wait for it to end. If it is dead for certain, add `-e bake_takeover=true`.",
        )
    return removable


def alive(maker: Maker) -> bool:
    """Whether a bake may still run; another machine's counts as running until it is too old."""
    if maker.host != socket.gethostname():
        return time.time() - maker.started < ABANDONED_AFTER_SECONDS
    try:
        process = psutil.Process(maker.pid)
        # some slack: psutil derives the start from the boot time, which clock corrections move
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - maker.started) < 60
    except psutil.NoSuchProcess:
        return False
