"""The lab's usage of this machine at one moment: memory, files and sockets of each process, disk of each container.

Read from outside, from this machine's /proc, so that sampling costs the instances nothing. Needs root, as the lab does:
the kernel hides a process's open files from other users.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ollama_gpu.local.lab.docker import Docker

_UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}  # Docker uses powers of ten
_INTERPRETERS = re.compile(r"^(python[\d.]*|bash|sh)$")


@dataclass(frozen=True)
class Process:
    """One process; ``rss`` in bytes. ``where`` is its container, ``born`` its start in seconds since 1970."""

    where: str
    program: str
    pid: int
    born: float
    rss: int
    files: int
    sockets: int

    @property
    def key(self) -> tuple[str, str, int, float]:
        """Identity of the process: pids are reused."""
        return (self.where, self.program, self.pid, self.born)


@dataclass(frozen=True)
class Sample:
    """``at`` by `time.monotonic`; ``disk`` in bytes by container, with its volumes; ``root``: used bytes of /."""

    at: float
    processes: tuple[Process, ...]
    disk: dict[str, int]
    root: int


@dataclass(frozen=True)
class Lab:
    """What to sample: ``prefix`` of the containers' names, and the pids of other processes by name."""

    docker: Docker
    prefix: str
    beside: Mapping[str, int]

    def look(self) -> Sample:
        """Take a sample. Leaves out processes that end meanwhile."""
        at = time.monotonic()
        containers = self._containers()
        roots = {name: found["State"]["Pid"] for name, found in containers.items() if found["State"]["Pid"]}
        processes = [each for where, pid in {**roots, **self.beside}.items() for each in tree(where, pid)]
        return Sample(at, tuple(processes), disks(containers, self._volumes()), shutil.disk_usage("/").used)

    def _containers(self) -> dict[str, Any]:
        """By short name: ``data``, ``front-door``, the instance's id."""
        names = [name for name in self.docker.ours("container") if name.startswith(f"{self.prefix}-")]
        if not names:
            return {}
        found = json.loads(self.docker.output("container", "inspect", "--size", *names))
        return {each["Name"].removeprefix(f"/{self.prefix}-"): each for each in found}

    def _volumes(self) -> list[dict[str, str]]:
        listed: list[dict[str, str]] = json.loads(
            self.docker.output("system", "df", "--verbose", "--format", "{{json .Volumes}}")
        )
        return listed


def tree(where: str, root: int) -> Iterator[Process]:
    """A process and all its descendants, including those in nested containers."""
    try:
        top = psutil.Process(root)
        members = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in members:
        try:
            files, sockets = count_open_files(each.pid)
            rss = each.memory_info().rss
            name = program(each.cmdline() or [each.name()])
            yield Process(where, name, each.pid, each.create_time(), rss, files, sockets)
        except (psutil.Error, FileNotFoundError, ProcessLookupError):
            continue


def count_open_files(pid: int) -> tuple[int, int]:
    """The number of files that a process has open, and how many of them are sockets."""
    files = sockets = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        files += 1
        try:
            sockets += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:
            files -= 1
    return files, sockets


def program(command: Sequence[str]) -> str:
    """The usual name of a program: the script of an interpreter, the subcommand of a program that has some."""
    name = Path(command[0].split(" ", 1)[0].rstrip(":")).name
    words = [word for word in command[1:] if word]
    if _INTERPRETERS.match(name):
        if "-m" in words[:-1]:
            return words[words.index("-m") + 1]
        script = next((word for word in words if not word.startswith("-")), name)
        return re.sub(r"-[0-9a-f]{12}\.zip$", "", Path(script).name)
    if name in ("ollama", "docker") and words:
        return f"{name} {words[0]}"
    return name


def disks(containers: Mapping[str, Any], volumes: Sequence[Mapping[str, str]]) -> dict[str, int]:
    """Bytes that each container has written, including its volumes."""
    sizes = {volume["Name"]: size(volume["Size"]) for volume in volumes}
    return {
        name: int(found.get("SizeRw") or 0)
        + sum(sizes.get(mount.get("Name", ""), 0) for mount in found["Mounts"] if mount["Type"] == "volume")
        for name, found in containers.items()
    }


def size(text: str) -> int:
    """Bytes of a size in Docker's format, such as ``918.9MB``; 0 for ``N/A``."""
    found = re.fullmatch(r"([\d.]+)(B|kB|MB|GB|TB)", text)
    return round(float(found[1]) * _UNITS[found[2]]) if found else 0
