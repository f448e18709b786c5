"""Measurements of a GPU (`make gpu-figures`), which replace the priors of that GPU.

Each measurement is a file `<gpu>-<model>.json` in the folder `measured/`. To use one, put it there.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ollama_gpu.core import files
from ollama_gpu.core.errors import UserError
from ollama_gpu.planning.models import Model
from ollama_gpu.planning.priors import Batching, Priors

FOLDER = Path(__file__).with_suffix("")
"""The default folder of `capacity` and `simulate`."""

_PARAMETERS_8B = 8.03


class Point(BaseModel):
    """Rates with ``streams`` at once: tokens/s of each while decoding, seconds to first token of long prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    streams: int
    tokens_per_second: float
    first_token_p50: float
    first_token_p95: float
    answers: int

    @property
    def together(self) -> float:
        """Tokens/s of all streams."""
        return self.streams * self.tokens_per_second


class Measured(BaseModel):
    """One GPU with one model. Memory and sizes in bytes, ``parameters`` in 1e9, ``prompt_rate`` in tokens/s.

    ``machine`` is the instance type from the machine's firmware; ``model`` is the name in Ollama's library; ``size``
    and ``on_gpu`` come from `/api/ps` and are equal if no part is on the CPU. ``used_before`` is the GPU memory that
    other programs used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: str
    machine: str
    driver: str
    ollama: str
    date: datetime.date
    model: str
    parameters: float
    mix: str
    weights_bytes: int
    size: int
    on_gpu: int
    used_before: int
    slots: int
    context: int
    prompt_tokens: int
    answer_tokens: int
    prompt_rate: float
    points: tuple[Point, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Measured:
        streams = [point.streams for point in self.points]
        if not streams or streams[0] != 1 or streams != sorted(set(streams)):
            raise ValueError("points must start with one stream, in rising order")
        if min(self.prompt_rate, *(point.tokens_per_second for point in self.points)) <= 0:
            raise ValueError("rates must be above 0")
        return self

    @property
    def on_gpu_alone(self) -> bool:
        return self.on_gpu >= self.size > 0

    @property
    def source(self) -> str:
        """A one-line description of where it was measured."""
        return (
            f"{self.gpu} of a {self.machine}, driver {self.driver}, Ollama {self.ollama}, {self.model} {self.mix}, "
            f"{self.slots} slots of {self.context} tokens"
        )

    @property
    def file_name(self) -> str:
        return re.sub(r"[^a-z0-9.]+", "-", f"{self.gpu} {self.model}".lower()) + ".json"


def is_gpu(name: str, gpu: str) -> bool:
    """Whether a GPU's name from the driver (``Tesla V100-SXM2-16GB``) matches a name of the table (``V100``)."""
    return gpu in re.split(r"[ -]", name)


def load(folder: Path = FOLDER) -> list[Measured]:
    """Read all measurements in a folder. Raises UserError for an invalid file and for one measured partly on a CPU."""
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            found.append(Measured.model_validate(json.loads(file.read_text(encoding="utf-8"))))
        except (ValueError, ValidationError) as error:
            why = str(error).splitlines()[0]
            raise UserError(
                f"{file} is not a valid measurement: {why}.", "Measure again: sudo make gpu-figures."
            ) from error
        if not found[-1].on_gpu_alone:
            raise UserError(
                f"{file} was measured with {found[-1].on_gpu} of {found[-1].size} bytes of the model on a GPU.",
                "Measure again on an idle GPU: sudo make gpu-figures.",
            )
    return found


def write(found: Measured, folder: Path) -> Path:
    """Write a measurement; it replaces an earlier one of the same GPU and model."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / found.file_name
    files.replace(file, found.model_dump_json(indent=2) + "\n")
    return file


def of(gpu: str, model: Model, every: list[Measured]) -> Measured | None:
    """Choose the measurement for a model on a GPU: the newest one of the model nearest in size."""
    fit = [each for each in every if is_gpu(each.gpu, gpu)]
    by_distance = sorted(fit, key=lambda each: (abs(each.parameters - model.parameters), -each.date.toordinal()))
    return next(iter(by_distance), None)


def apply(known: Priors, gpu: str, found: Measured | None) -> Priors:
    """Return the priors with a GPU's figures and the batching curve replaced by a measurement.

    For the measured model, the planner then uses exactly the measured rates. For another model, it uses the same
    share of the memory bandwidth and the same gain from batching.
    """
    if found is None:
        return known
    says: Mapping[str, object] = {"origin": "measured", "date": found.date, "source": found.source}
    alone = found.points[0].tokens_per_second
    prior = known.gpus[gpu]
    own = prior.model_copy(
        update={
            "efficiency": alone * found.weights_bytes / (prior.bandwidth * 1e9),
            "prompt_8b": found.prompt_rate * found.parameters / _PARAMETERS_8B,
            **says,
        }
    )
    curve = Batching(
        streams=tuple(point.streams for point in found.points),
        multiple=tuple(point.together / alone for point in found.points),
        **says,  # type: ignore[arg-type]
    )
    return known.model_copy(update={"gpus": {**known.gpus, gpu: own}, "batching": curve})
