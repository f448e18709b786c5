"""Growth: a straight line through the usage of one process or container; and what counts as a leak."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.soak.samples import Sample

WARM_SECONDS = 300
"""The first minutes of a process are left out: it fills its caches and pools."""

JUDGED_SECONDS = 900
"""A line over a shorter time is meaningless: a process that is observed for less is not judged."""

MIB = 1 << 20


@dataclass(frozen=True)
class Limit:
    """A leak grows by more than ``an_hour`` (unit of the figure), and by at least ``in_all`` over the observed time."""

    an_hour: float
    in_all: float


LIMITS = {
    # 48 MiB an hour fills an instance of 16 GB in two weeks, and half of it in one.
    "memory": Limit(48 * MIB, 12 * MIB),
    # A process may have 1024 open files by default: one day at this rate.
    "sockets": Limit(40, 12),
    "files": Limit(40, 12),
    # Fills a root disk of 100 GB in ten days. PostgreSQL's write-ahead log grows to 1 GB and stays there.
    "disk": Limit(400 * MIB, 150 * MIB),
}
BY_DESIGN = {
    # The embedded AWS keeps every CloudWatch data point in memory.
    ("memory", "embedded-aws"): Limit(256 * MIB, 64 * MIB),
    # A PostgreSQL session keeps the tables and indexes open that it has read, up to max_files_per_process, which is
    # 1000. Observed: from 40 to 75 in 20 minutes.
    ("files", "data"): Limit(500, 400),
}
"""Usage that grows up to a bound by design, by figure and place."""


@dataclass(frozen=True)
class Growth:
    """``first`` and ``last`` are on the line; ``later`` is the slope of the second half, smaller if growth levels off.

    ``judged``: it was observed for long enough. ``leak``: it grows by more than its limit and does not level off.
    """

    what: str
    where: str
    program: str
    seconds: float
    samples: int
    first: float
    last: float
    an_hour: float
    later_an_hour: float
    judged: bool
    leak: bool

    def as_dict(self) -> dict[str, Any]:
        """For programs; memory and disk in bytes."""
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(self).items()}


def of(samples: Sequence[Sample]) -> list[Growth]:
    """Growth of every process's memory, sockets and files, and of every container's disk, over all samples."""
    series: dict[tuple[str, str, str, object], list[tuple[float, float]]] = {}
    for sample in samples:
        for process in sample.processes:
            for what, value in (("memory", process.rss), ("sockets", process.sockets), ("files", process.files)):
                key = (what, process.where, process.program, process.key)
                series.setdefault(key, []).append((sample.at, float(value)))
        for where, used in sample.disk.items():
            series.setdefault(("disk", where, "", where), []).append((sample.at, float(used)))
    return [
        judge(what, where, program, points)
        for (what, where, program, _), points in series.items()
        if len(points) >= 3  # fewer samples: a short-lived helper process
    ]


def judge(what: str, where: str, program: str, points: Sequence[tuple[float, float]]) -> Growth:
    """Judge the growth of one figure by its points (seconds, value), oldest first."""
    warm = [point for point in points if point[0] >= points[0][0] + WARM_SECONDS]
    judged = len(warm) >= 4 and warm[-1][0] - warm[0][0] >= JUDGED_SECONDS
    used = warm if judged else list(points)
    slope, start = line(used)
    later, _ = line(used[len(used) // 2 :])
    seconds = used[-1][0] - used[0][0]
    limit = BY_DESIGN.get((what, where), LIMITS[what])
    still = min(slope, later) * 3600
    return Growth(
        what=what,
        where=where,
        program=program,
        seconds=seconds,
        samples=len(used),
        first=start,
        last=start + slope * seconds,
        an_hour=slope * 3600,
        later_an_hour=later * 3600,
        judged=judged,
        leak=judged and still > limit.an_hour and slope * seconds > limit.in_all,
    )


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope per second, and the value at the first point, of the regression line."""
    if len(points) < 2 or points[0][0] == points[-1][0]:
        return 0.0, points[0][1]
    began = points[0][0]
    fitted = statistics.linear_regression([at - began for at, _ in points], [value for _, value in points])
    return fitted.slope, fitted.intercept


def worst(found: Iterable[Growth], what: str, rows: int) -> list[Growth]:
    """The fastest growing: leaks first, then those that were observed for long enough."""
    chosen = [each for each in found if each.what == what]
    return sorted(chosen, key=lambda each: (not each.leak, not each.judged, -each.an_hour))[:rows]
