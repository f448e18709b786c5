"""The speed of a model on one GPU: tokens/s of each stream by the number of streams, and prompt tokens/s."""

from __future__ import annotations

from dataclasses import dataclass

from ollama_gpu.catalogue.gpus import Gpus
from ollama_gpu.planning.models import Model
from ollama_gpu.planning.priors import Priors, between

_PARAMETERS_8B = 8.03


@dataclass(frozen=True)
class Engine:
    """One Ollama on one GPU. ``stream_rates[n]`` is each stream's tokens/s when n decode; index 0 is unused.

    While a prompt is computed, the decoding streams get ``stalled_rate`` each: one token per batch of the prompt.
    """

    stream_rates: tuple[float, ...]
    prompt_rate: float
    stalled_rate: float

    @property
    def slots(self) -> int:
        return len(self.stream_rates) - 1


def predicted(model: Model, gpus: Gpus, slots: int, priors: Priors) -> Engine:
    """Predict from the GPU's memory bandwidth and the model's size: decoding reads every weight once per token."""
    known = priors.gpus[gpus.name.partition(" ")[0]]
    alone = known.bandwidth * 1e9 * known.efficiency / model.weights_bytes
    alone = min(alone, 1000 / priors.value("minimum_step_ms"))
    rates = [together(alone, streams, priors) / streams for streams in range(1, slots + 1)]
    prompt = known.prompt_8b * _PARAMETERS_8B / model.parameters
    return _engine(rates, prompt, priors)


def measured(rates: dict[int, float], prompt_rate: float, slots: int, priors: Priors) -> Engine:
    """Use measured tokens/s of a stream by number of streams; the sum of all streams is interpolated in between."""
    streams = sorted(rates)
    sums = [rates[each] * each for each in streams]
    filled = [between(each, streams, sums) / each for each in range(1, slots + 1)]
    return _engine(filled, prompt_rate, priors)


def together(alone: float, streams: float, priors: Priors) -> float:
    """Return tokens/s of all streams together, on a GPU where a single stream gets ``alone`` tokens/s."""
    curve = priors.batching
    return alone * between(streams, curve.streams, curve.multiple)


def _engine(rates: list[float], prompt_rate: float, priors: Priors) -> Engine:
    return Engine((0.0, *rates), prompt_rate, prompt_rate / priors.value("prompt_batch_tokens"))
