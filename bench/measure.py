"""Run a command to its end and measure its wall-clock seconds and the peak memory of its whole process tree."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.fabric.driver import ROOT


@dataclass(frozen=True)
class Measured:
    """Seconds, and the peak memory in MiB by program name."""

    seconds: float
    memory: dict[str, float]


def measure(command: Sequence[str], environment: Mapping[str, str], folder: Path = ROOT) -> Measured:
    """Run a command. Raises SystemExit with the end of its error output if it fails."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    peaks: dict[str, float] = defaultdict(float)
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, peaks, done))
    watcher.start()
    _, err = process.communicate()
    seconds = time.monotonic() - began
    done.set()
    watcher.join()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{err[-3000:]}")
    return Measured(round(seconds, 1), {name: round(peak) for name, peak in sorted(peaks.items())})


def watch(root: int, peaks: dict[str, float], done: threading.Event) -> None:
    while not done.wait(0.2):
        sums: dict[str, float] = defaultdict(float)
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(root)
            for process in [top, *top.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    # PSS, not RSS: a forked child that has not yet started its program shares all of its memory.
                    sums[process.name()[:24]] += process.memory_full_info().pss / 2**20
        for name, total in sums.items():
            peaks[name] = max(peaks[name], total)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by ``share`` of all values. Raises ValueError if there are none."""
    if not values:
        raise ValueError("a quantile needs at least one value")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
