"""The figures that planner and simulator start from, each with its source (priors.yaml)."""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

Origin = Literal["measured", "published", "derived", "assumed"]


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: Origin
    source: str
    date: datetime.date | None = None


class Figure(_Known):
    """A number with its unit as printed."""

    value: float
    unit: str


class Added(_Known):
    """Milliseconds that an Open WebUI process adds to the first token, by its number of streams."""

    streams: tuple[float, ...]
    p50: tuple[float, ...]
    p95: tuple[float, ...]


class Batching(_Known):
    """A GPU's total rate by number of streams, as a multiple of one stream's rate."""

    streams: tuple[float, ...]
    multiple: tuple[float, ...]


class Gpu(_Known):
    """``bandwidth`` in GB/s; ``efficiency`` is the share of it that decoding uses; ``prompt_8b`` in tokens/s."""

    bandwidth: float
    efficiency: float
    prompt_8b: float


class Priors(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    figures: dict[str, Figure]
    webui_added_ms: Added
    batching: Batching
    gpus: dict[str, Gpu]

    @model_validator(mode="after")
    def _curves_are_whole(self) -> Priors:
        for curve, values in ((self.webui_added_ms, "p50"), (self.webui_added_ms, "p95"), (self.batching, "multiple")):
            if len(curve.streams) != len(getattr(curve, values)) or list(curve.streams) != sorted(set(curve.streams)):
                raise ValueError(f"{values}: one value for each number of streams, in rising order")
        return self

    def value(self, name: str) -> float:
        return self.figures[name].value


@cache
def load() -> Priors:
    """Load the committed priors."""
    return Priors.model_validate(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")))


def between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Interpolate a curve linearly at ``x``; beyond its ends, return the value of the end."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect_right(xs, x)
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])
