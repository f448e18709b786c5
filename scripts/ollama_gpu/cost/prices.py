"""Prices with their dates and sources (prices.yaml), and what is assumed of an environment's use (usage.yaml)."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from ollama_gpu.errors import UserError

_FOLDER = Path(__file__).parent
HOURS_A_MONTH = 730


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    date: datetime.date
    source: str
    seen: bool
    """Whether the source was read for this table; otherwise the figure is as it is generally quoted."""


class Hourly(_Known):
    """USD an hour by type."""

    hourly: dict[str, float]


class Rate(_Known):
    usd: float


class Range(BaseModel):
    """Three guesses of one figure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float
    typical: float
    max: float
    what: str = ""


class SpotShare(_Known):
    """A spot price as a share of on demand."""

    min: float
    typical: float
    max: float


class Region(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    ec2: Hourly
    rds_multi_az: Hourly
    elasticache_valkey: Hourly
    rates: dict[str, Rate]


class Prices(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: dict[str, Region]
    spot_share: SpotShare

    def of(self, region: str) -> Region:
        """A region's prices. Raises UserError (status 1) where there are none."""
        if region not in self.regions:
            raise UserError(
                f"No prices of {region} are known: there are those of {', '.join(self.regions)}.",
                "Add the region to scripts/ollama_gpu/cost/prices.yaml, with date and source.",
            )
        return self.regions[region]


@cache
def load() -> Prices:
    """The committed prices."""
    return Prices.model_validate(yaml.safe_load((_FOLDER / "prices.yaml").read_text(encoding="utf-8")))


@cache
def usage() -> dict[str, Range]:
    """What is assumed of a month's use."""
    raw = yaml.safe_load((_FOLDER / "usage.yaml").read_text(encoding="utf-8"))
    return {name: Range(**fields) for name, fields in raw.items()}


def hourly(table: Hourly, name: str, region: str) -> float:
    """USD an hour of a type. Raises UserError (status 1) for one without a price."""
    if name not in table.hourly:
        raise UserError(
            f"No price of {name} in {region} is known (prices of {table.date}).",
            f"Add it to scripts/ollama_gpu/cost/prices.yaml, from {table.source.split(';', maxsplit=1)[0]}.",
        )
    return table.hourly[name]
