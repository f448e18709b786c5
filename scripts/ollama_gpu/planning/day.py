"""The number of users by time of day."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_gpu.planning.priors import between

# Users at each full hour, as a share of the range from fewest to most: a working day with two peaks and a dip at noon.
_WORKING_DAY = (
    0,
    0,
    0,
    0,
    0,
    0.02,
    0.06,
    0.2,
    0.55,
    0.9,
    1,
    0.97,
    0.8,
    0.85,
    0.98,
    1,
    0.9,
    0.65,
    0.4,
    0.28,
    0.2,
    0.12,
    0.06,
    0.02,
    0,
)
_HOURS = tuple(range(25))


@dataclass(frozen=True)
class Day:
    """A day with ``fewest`` users at night and ``most`` at the peaks; constant if both are equal."""

    fewest: int
    most: int

    def users(self, seconds: float) -> int:
        """Return the number of users at a time of day, in seconds since midnight."""
        return round(self.fewest + (self.most - self.fewest) * between(seconds / 3600 % 24, _HOURS, _WORKING_DAY))
