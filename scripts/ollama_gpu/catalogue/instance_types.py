"""The EC2 instance types that a fleet may use, with their vCPUs, memory and GPUs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from ollama_gpu.catalogue import gpus as instance_gpus
from ollama_gpu.catalogue.gpus import Gpus
from ollama_gpu.core.errors import UserError

_FILE = Path(__file__).with_suffix(".yaml")


class InstanceType(BaseModel):
    """An EC2 instance type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    vcpus: int
    memory_gib: int

    @property
    def gpus(self) -> Gpus:
        return instance_gpus.of(self.name)


@cache
def every() -> dict[str, InstanceType]:
    """Return all types by name, smaller ones of a family first."""
    raw = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return {name: InstanceType(name=name, **fields) for name, fields in raw.items()}


def of(name: str) -> InstanceType:
    """Return a type by name. Raises UserError (status 2) if it is not in the table."""
    known = every()
    if name not in known:
        family = name.partition(".")[0]
        near = [other for other in known if other.startswith(f"{family}.")] or list(known)
        raise UserError(f"The instance type {name} is unknown.", f"Use one of: {', '.join(near)}.", status=2)
    return known[name]
