"""How many people are there at which time of a day."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_gpu.capacity.priors import between

# Share of the way from the fewest to the most users at each full hour: a working day with two peaks and a noon between.
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
    """From ``fewest`` at night to ``most`` at the peaks; the same number all day where both are equal."""

    fewest: int
    most: int

    def users(self, seconds: float) -> int:
        """How many at a time of the day, in seconds since midnight."""
        return round(self.fewest + (self.most - self.fewest) * between(seconds / 3600 % 24, _HOURS, _WORKING_DAY))
