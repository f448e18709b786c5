"""AWS prices with their dates and sources, from prices.yaml."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from ollama_gpu.core.errors import UserError

HOURS_A_MONTH = 730


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    date: datetime.date
    source: str
    seen: bool
    """Whether the source was read for this table; otherwise the figure is the one generally quoted."""


class Hourly(_Known):
    """USD an hour by instance type, database class or cache node."""

    hourly: dict[str, float]


class Rate(_Known):
    usd: float


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
        """Return a region's prices. Raises UserError (status 1) if there are none."""
        if region not in self.regions:
            raise UserError(
                f"No prices of {region} are known; known regions: {', '.join(self.regions)}.",
                "Add the region to scripts/ollama_gpu/catalogue/prices.yaml, with date and source.",
            )
        return self.regions[region]


@cache
def load() -> Prices:
    """Load the committed prices."""
    return Prices.model_validate(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")))


def hourly(table: Hourly, name: str, region: str) -> float:
    """Return USD an hour of a type. Raises UserError (status 1) if it has no price."""
    if name not in table.hourly:
        raise UserError(
            f"No price of {name} in {region} is known (prices of {table.date}).",
            f"Add it to scripts/ollama_gpu/catalogue/prices.yaml, from {table.source.split(';', maxsplit=1)[0]}.",
        )
    return table.hourly[name]
