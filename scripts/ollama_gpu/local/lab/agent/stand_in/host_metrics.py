"""The host's metrics, computed as in the agent's inputs (cpu, mem, disk) and sent with PutMetricData."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .configuration import Figure, HostMetrics

PROC = Path("/proc")


class HostFigures:
    """Reads the host. Processor usage covers the time since the last reading, so the first reading has none."""

    def __init__(self, disk_paths: Sequence[str], proc: Path = PROC) -> None:
        self._disk_paths = disk_paths
        self._proc = proc
        self._times: tuple[int, int] | None = None

    def values(self, figure: Figure) -> list[float]:
        """Return the present values of a metric: possibly none, and one per disk."""
        match figure.name:
            case "cpu_usage_active":
                return self._cpu_usage_active()
            case "mem_used_percent":
                return [memory_used_percent((self._proc / "meminfo").read_text())]
            case "disk_used_percent":
                return [disk_used_percent(path) for path in self._disk_paths if os.path.ismount(path)]
        return []

    def _cpu_usage_active(self) -> list[float]:
        before, now = self._times, processor_times((self._proc / "stat").read_text())
        self._times = now
        if before is None or now[1] <= before[1]:
            return []
        return [100 * (now[0] - before[0]) / (now[1] - before[1])]


def processor_times(stat: str) -> tuple[int, int]:
    """Return active and total time of all processors, from /proc/stat. As in the agent, I/O wait is active time."""
    user, nice, system, idle, wait, irq, softirq, steal = (int(word) for word in stat.split()[1:9])
    active = user + nice + system + wait + irq + softirq + steal
    return active, active + idle


def memory_used_percent(meminfo: str) -> float:
    """Return the percentage of memory that is not available for new programs, from /proc/meminfo."""
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in meminfo.splitlines()}
    return 100 * (sizes["MemTotal"] - sizes["MemAvailable"]) / sizes["MemTotal"]


def disk_used_percent(path: str) -> float:
    """Return the used percentage of the space that users can use in a file system."""
    disk = os.statvfs(path)
    used = disk.f_blocks - disk.f_bfree
    return 100 * used / (used + disk.f_bavail)


def publish(cloudwatch: Any, host: HostMetrics, figures: HostFigures, names: Mapping[str, str]) -> int:
    """Send each metric for each set of dimensions, with values from ``names``; return the number sent.

    Omits sets with a dimension that is not in ``names``: the agent, too, sends no metric before it knows its group.
    """
    now = datetime.now(UTC)
    data = [
        {
            "MetricName": figure.name,
            "Dimensions": [{"Name": name, "Value": names[name]} for name in dimensions],
            "Timestamp": now,
            "Unit": figure.unit,
            "Values": values,
        }
        for figure in host.figures
        if (values := figures.values(figure))
        for dimensions in host.dimensions
        if all(names.get(name) for name in dimensions)
    ]
    if data:
        cloudwatch.put_metric_data(Namespace=host.namespace, MetricData=data)
    return len(data)
