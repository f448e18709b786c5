"""Quantiles of millions of durations in little memory: a histogram with steps of 2 %."""

from __future__ import annotations

import math

_STEP = math.log(1.02)


class Quantiles:
    """Durations in seconds, each accurate to 2 %."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0

    def add(self, seconds: float) -> None:
        step = int(math.log(seconds if seconds > 1e-4 else 1e-4) / _STEP + 1000)
        self._counts[step] = self._counts.get(step, 0) + 1
        self.count += 1

    def include(self, other: Quantiles) -> None:
        for step, count in other._counts.items():
            self._counts[step] = self._counts.get(step, 0) + count
        self.count += other.count

    def at(self, share: float) -> float:
        """Return the quantile ``share`` of the durations; nan if there are none."""
        wanted, seen = share * self.count, 0
        for step in sorted(self._counts):
            seen += self._counts[step]
            if seen >= wanted:
                return math.exp((step - 1000 + 0.5) * _STEP)
        return math.nan
