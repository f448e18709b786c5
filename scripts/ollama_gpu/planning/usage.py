"""An environment's assumed monthly use, from usage.yaml."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict


class Range(BaseModel):
    """A low, a typical and a high estimate of one figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float
    typical: float
    max: float
    what: str = ""


@cache
def load() -> dict[str, Range]:
    """The assumed monthly use, by name."""
    raw = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return {name: Range(**fields) for name, fields in raw.items()}
