"""The input of planner and simulator for one environment, read from files without calling AWS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ollama_gpu.catalogue import instance_types, prices
from ollama_gpu.catalogue.instance_types import InstanceType
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import settings
from ollama_gpu.models.memory import Need
from ollama_gpu.planning import engine, measured, memory, models, priors
from ollama_gpu.planning import host as hosts
from ollama_gpu.planning.demand import Demand
from ollama_gpu.planning.engine import Engine
from ollama_gpu.planning.host import Host
from ollama_gpu.planning.models import Model
from ollama_gpu.planning.plan import Limits, Plan, make
from ollama_gpu.planning.priors import Priors
from ollama_gpu.planning.scaling import Policies
from ollama_gpu.planning.simulation import Service
from ollama_gpu.terraform import values

FLEET = "interactive"


@dataclass(frozen=True)
class Choices:
    """Options of the command line; None means the environment's value or the prior.

    ``rates`` are measured tokens/s of a stream by the number of streams on a GPU; ``prompt_rate`` is in tokens/s.
    ``figures`` is a folder of measurements to use instead of the committed ones.
    """

    model: str | None = None
    instance_type: str | None = None
    slots: int | None = None
    context: int | None = None
    rates: dict[int, float] | None = None
    prompt_rate: float | None = None
    boot_seconds: float | None = None
    max_size: int | None = None
    figures: Path | None = None


@dataclass(frozen=True)
class Scenario:
    """An environment's fleet with a model. ``hourly`` is the on-demand price of one instance in USD an hour."""

    environment: str
    region: str
    values: dict[str, Any]
    model: Model
    kind: InstanceType
    host: Host
    engine: Engine
    need: Need
    slots_that_fit: int
    hourly: float
    boot_seconds: float
    priors: Priors

    @property
    def fleet(self) -> dict[str, Any]:
        found: dict[str, Any] = self.values["fleets"][FLEET]
        return found

    @property
    def service(self) -> Service:
        return Service(self.engine, self.host, self.kind.vcpus, self.boot_seconds)

    def policies(self, day: date) -> Policies:
        """Return the fleet's scaling with the schedule of a date (UTC)."""
        return Policies.of(self.fleet, datetime(day.year, day.month, day.day, tzinfo=UTC))

    def plan(self, demand: Demand) -> Plan:
        return make(
            demand,
            self.kind,
            self.host,
            self.engine,
            (self.need, self.slots_that_fit),
            Limits.of(self.fleet),
            self.priors,
        )


def load(paths: Paths, name: str, choices: Choices) -> Scenario:
    """Load a scenario. Raises UserError for an unknown model, type or price, and for a model that does not fit."""
    environment = settings.load(paths, name)
    found = values.read(paths.terraform / "variables.tf", environment.variables_file)
    fleet = found["fleets"][FLEET]
    if choices.max_size is not None:
        if choices.max_size < fleet["min_size"]:
            raise UserError(f"--max-size must be at least {fleet['min_size']}, the fleet's min_size.", status=2)
        fleet["max_size"] = choices.max_size
    model = models.of(_model(choices, found))
    kind = instance_types.of(choices.instance_type or fleet["instance_types"][0])
    known = _priors(choices.figures, kind.gpus.name.partition(" ")[0], model)
    for what, value in (("--slots", choices.slots), ("--context", choices.context)):
        if value is not None and value < 1:
            raise UserError(f"{what} must be at least 1.", status=2)
    host = hosts.of(paths, environment, kind, choices.slots, choices.context)
    need = memory.fit(model, host, kind)
    if choices.rates:
        prompt = choices.prompt_rate or engine.predicted(model, kind.gpus, 1, known).prompt_rate
        serving = engine.measured(choices.rates, prompt, host.slots, known)
    else:
        serving = engine.predicted(model, kind.gpus, host.slots, known)
        if choices.prompt_rate:
            serving = replace(serving, prompt_rate=choices.prompt_rate)
    return Scenario(
        environment=name,
        region=environment.region,
        values=found,
        model=model,
        kind=kind,
        host=host,
        engine=serving,
        need=need,
        slots_that_fit=memory.most_slots(model, host, kind),
        hourly=prices.hourly(prices.load().of(environment.region).ec2, kind.name, environment.region),
        boot_seconds=choices.boot_seconds or known.value("boot_seconds"),
        priors=known,
    )


def _priors(figures: Path | None, gpu: str, model: Model) -> Priors:
    found = measured.of(gpu, model, measured.load(figures or measured.FOLDER))
    if figures and found is None:
        raise UserError(
            f"{figures} has no measurement of a GPU {gpu}.", "Measure on such a GPU: sudo make gpu-figures.", status=2
        )
    return measured.apply(priors.load(), gpu, found)


def _model(choices: Choices, found: dict[str, Any]) -> str:
    if choices.model is None and not found["models"]:
        raise UserError("The environment names no model.", "Name one: --model llama3.1:8b.", status=2)
    return choices.model or str(found["models"][0]).partition("@")[0]


def parse_rates(text: str) -> dict[int, float]:
    """Parse ``1:68,4:51``. Raises UserError (status 2) for any other format."""
    try:
        found = {int(streams): float(rate) for streams, _, rate in (part.partition(":") for part in text.split(","))}
    except ValueError:
        found = {}
    if not found or min(found) < 1 or min(found.values()) <= 0:
        raise UserError(
            f"--rates {text} is not a list of streams:tokens-per-second.",
            "Give the tokens/s of each stream by number of streams, for example 1:68,4:51,8:38.",
            status=2,
        )
    return found
