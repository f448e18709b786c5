"""What the fleet's policies and schedule decide each minute.

The rules are those of the embedded AWS's Auto Scaling engine, the very functions, so that the simulator and ENV=local
scale alike; the targets, sizes and times are Terraform's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ollama_gpu.embedded_aws.autoscaling.cron import Cron
from ollama_gpu.embedded_aws.autoscaling.policies import LOW_PERIODS, TARGET_TRACKING, Policy
from ollama_gpu.embedded_aws.autoscaling.target_tracking import decide, propose

Figures = dict[str, float | None]
"""A minute's metric by policy: cpu and inference_load in percent, requests a target; None where nothing reported."""


@dataclass(frozen=True)
class Policies:
    """A fleet as Terraform has it; the seconds of ``minimums`` count from the day's midnight (UTC)."""

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
        """From a fleet's value (ollama_gpu.terraform.values), its schedule as it runs on a date."""
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
        """The group's minimum at a time: the schedule's newest entry, before the first of the day ``min_size``."""
        passed = [size for at, size in self.minimums if at <= now]
        return passed[-1] if passed else self.min_size


class Tracker:
    """Remembers the last quarter of an hour of each policy's metric and says what the group should be."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._series = {name: deque[float | None](maxlen=LOW_PERIODS) for name in policies.targets}

    def desired(self, now: float, size: int, warm: int, figures: Figures) -> tuple[int, str]:
        """The group's size after this minute and who chose it; ``warm`` instances are past their warm-up."""
        proposals = []
        for name, target in self._policies.targets.items():
            self._series[name].append(figures[name])
            proposals.append((_policy(name), propose(warm or size, target, list(self._series[name]), True)))
        chosen = decide(size, proposals, warming=warm < size)
        wanted, by = (chosen[1], chosen[0].name) if chosen else (size, "")
        least = self._policies.minimum(now)
        bounded = max(least, min(self._policies.max_size, wanted))
        return bounded, ("schedule" if bounded > wanted else by) if bounded != size else ""


def _policy(name: str) -> Policy:
    return Policy(name, "", "", TARGET_TRACKING, {})


def _minimums(schedule: dict[str, Any], date: datetime) -> tuple[tuple[float, int], ...]:
    midnight = date.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for entry in schedule.values():
        moment = midnight - timedelta(seconds=1)
        cron, zone = Cron(entry["recurrence"]), ZoneInfo(entry["time_zone"])
        while (following := cron.next_after(moment, zone)) and following < midnight + timedelta(days=1):
            found.append(((following - midnight).total_seconds(), entry["min_size"]))
            moment = following
    return tuple(sorted(found))
