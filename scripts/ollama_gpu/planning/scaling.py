"""The decisions of the fleet's scaling policies and schedule, minute by minute.

The simulator and the embedded AWS share the rules (`core.target_tracking`), so that both scale alike. Targets, sizes
and times come from Terraform.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ollama_gpu.core import cron
from ollama_gpu.core.target_tracking import LOW_PERIODS, Proposal, decide, propose

Figures = dict[str, float | None]
"""A minute's metric by policy: cpu and inference load in percent, requests per target; None without data."""


@dataclass(frozen=True)
class Policies:
    """A fleet's scaling settings in Terraform; the seconds of ``minimums`` count from midnight (UTC)."""

    min_size: int
    max_size: int
    on_demand_base: int
    spot_percentage: int
    warmup_seconds: float
    drain_seconds: float
    targets: dict[str, float]
    minimums: tuple[tuple[float, int], ...] = ()

    @classmethod
    def of(cls, fleet: dict[str, Any], date: datetime) -> Policies:
        """Read them from a fleet's value (ollama_gpu.terraform.values), with the schedule of a date."""
        scaling = fleet["scaling"]
        return cls(
            min_size=fleet["min_size"],
            max_size=fleet["max_size"],
            on_demand_base=fleet["on_demand_base"],
            spot_percentage=fleet["spot_percentage"],
            warmup_seconds=scaling["warmup_seconds"],
            drain_seconds=fleet["drain_seconds"],
            targets={
                "cpu": scaling["cpu_percent"],
                "inference load": scaling["inference_load_percent"],
                "requests": scaling["requests_per_target_per_minute"],
            },
            minimums=_minimums(fleet["schedule"], date),
        )

    def minimum(self, now: float) -> int:
        """Return the minimum size at a time: the latest entry of the schedule, or ``min_size`` before the first."""
        passed = [size for at, size in self.minimums if at <= now]
        return passed[-1] if passed else self.min_size


class Tracker:
    """Keep the last 15 minutes of each policy's metric and decide the group's size."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._series = {name: deque[float | None](maxlen=LOW_PERIODS) for name in policies.targets}

    def desired(self, now: float, size: int, warm: int, figures: Figures) -> tuple[int, str]:
        """Return the group's next size and the policy that chose it; ``warm`` instances are past their warm-up."""
        proposals = []
        for name, target in self._policies.targets.items():
            self._series[name].append(figures[name])
            proposals.append(Proposal(name, propose(warm or size, target, list(self._series[name]), True)))
        chosen = decide(size, proposals, warming=warm < size)
        wanted, by = (chosen.capacity, chosen.policy) if chosen and chosen.capacity is not None else (size, "")
        least = self._policies.minimum(now)
        bounded = max(least, min(self._policies.max_size, wanted))
        return bounded, ("schedule" if bounded > wanted else by) if bounded != size else ""


def _minimums(schedule: dict[str, Any], date: datetime) -> tuple[tuple[float, int], ...]:
    midnight = date.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for entry in schedule.values():
        moment = midnight - timedelta(seconds=1)
        recurrence, zone = entry["recurrence"], ZoneInfo(entry["time_zone"])
        while (following := cron.next_after(recurrence, moment, zone)) and following < midnight + timedelta(days=1):
            found.append(((following - midnight).total_seconds(), entry["min_size"]))
            moment = following
    return tuple(sorted(found))
