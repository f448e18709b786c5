"""How far a long command is, read from its output: packages, steps, layers or bytes."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

LINE_WIDTH = 60
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class HowFar(Protocol):
    """Reads a command's output line by line."""

    def read(self, line: str) -> None:
        """Read a complete line of the output."""

    def text(self) -> str:
        """Return how far the command is; empty if nothing is known yet."""


class LastLine:
    """The last line of the output."""

    def __init__(self) -> None:
        self._line = ""

    def read(self, line: str) -> None:
        self._line = _short(line) or self._line

    def text(self) -> str:
        return self._line


class GoPackages:
    """Compiled packages of `go build -v`, after a line ``packages: <total>``."""

    _PACKAGE = re.compile(r"[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~-]+)*")

    def __init__(self) -> None:
        self._total = 0
        self._done = 0
        self._package = ""
        self._modules = 0

    def read(self, line: str) -> None:
        if line.startswith("packages: "):
            self._total, self._done = int(line.removeprefix("packages: ")), 0
        elif line.startswith("go: downloading "):
            self._modules += 1
        elif self._total and self._PACKAGE.fullmatch(line):
            self._done, self._package = self._done + 1, line

    def text(self) -> str:
        if self._total:
            package = f", now {self._package[-LINE_WIDTH:]}" if self._package else ""
            return f"{self._done} of at most {self._total} packages compiled{package}"
        return f"{self._modules} modules downloaded" if self._modules else ""


class DebianPackages:
    """Packages that mmdebstrap (with --verbose), apt and dpkg download, unpack and configure."""

    _STEPS = (("Get:", "downloaded"), ("Unpacking ", "unpacked"), ("Setting up ", "configured"))

    def __init__(self) -> None:
        self._counts = dict.fromkeys((word for _, word in self._STEPS), 0)
        self._text = ""

    def read(self, line: str) -> None:
        for prefix, word in self._STEPS:
            if line.startswith(prefix):
                self._counts[word] += 1
                total = max(self._counts["unpacked"], self._counts[word]) if word == "configured" else 0
                self._text = f"{self._counts[word]}{f' of {total}' if total else ''} packages {word}"
        if line.startswith("I: "):
            self._text = _short(line.removeprefix("I: "))

    def text(self) -> str:
        return self._text


class ImageBuild:
    """Steps of `docker build`, and what the running step does."""

    _STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")

    def __init__(self) -> None:
        self._step = ""
        self._line = ""

    def read(self, line: str) -> None:
        if found := self._STEP.match(line):
            self._step = f"step {found[1]} of {found[2]}"
            self._line = _short(found[3])
        else:
            self._line = _short(line) or self._line

    def text(self) -> str:
        return ", ".join(part for part in (self._step, self._line) if part)


class Layers:
    """Layers of `docker push` and `docker pull`."""

    def __init__(self) -> None:
        self._seen: dict[str, bool] = {}

    def read(self, line: str) -> None:
        layer, _, state = line.partition(": ")
        if re.fullmatch("[0-9a-f]{12}", layer):
            self._seen[layer] = state.startswith(
                ("Pushed", "Layer already exists", "Mounted", "Pull complete", "Already exists")
            )

    def text(self) -> str:
        return f"{sum(self._seen.values())} of {len(self._seen)} layers" if self._seen else ""


class Downloads:
    """Bytes that pip has written into ``folder``, of the sizes that it announced."""

    _SIZE = re.compile(r"Downloading \S+ \(([0-9.]+) ([kMG]?)B\)")
    _UNITS = MappingProxyType({"": 1e-6, "k": 1e-3, "M": 1.0, "G": 1e3})

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._total = 0.0

    def read(self, line: str) -> None:
        if found := self._SIZE.search(line):
            self._total += float(found[1]) * self._UNITS[found[2]]

    def text(self) -> str:
        if not self._total:
            return ""
        return f"{min(_megabytes(self._folder), self._total):.0f} of {self._total:.0f} MB"


def _megabytes(folder: Path) -> float:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue  # removed meanwhile
    return total / 1e6


def _short(line: str) -> str:
    return " ".join(_COLOURS.sub("", line).split())[:LINE_WIDTH]
