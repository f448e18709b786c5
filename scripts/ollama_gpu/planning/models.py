"""Shapes of models that can be planned for before they are downloaded (models.yaml)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from ollama_gpu.core.errors import UserError
from ollama_gpu.models.memory import Shape

_WHOLE_EVERY = 6  # Gemma 3: five windowed layers, then one with the whole context


class Model(BaseModel):
    """``parameters`` in 1e9, ``weights_gb`` in 1e9 bytes, lengths in elements, ``window`` and ``context`` in tokens.

    ``feed_forward`` is the inner length of the feed-forward part of a layer, 0 if unknown. ``tied``: input and output
    share the weights of the vocabulary.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    parameters: float
    weights_gb: float
    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_length: int
    embedding_length: int
    vocabulary: int
    context: int
    window: int = 0
    feed_forward: int = 0
    tied: bool = False

    @property
    def weights_bytes(self) -> int:
        return int(self.weights_gb * 1e9)

    @property
    def shape(self) -> Shape:
        """The shape as input of the memory calculation."""
        windowed = tuple((layer + 1) % _WHOLE_EVERY != 0 for layer in range(self.layers)) if self.window else ()
        return Shape(
            name=self.name,
            weights_bytes=self.weights_bytes,
            architecture=self.architecture,
            kv_heads=(self.kv_heads,) * self.layers,
            key_length=self.head_length,
            value_length=self.head_length,
            embedding_length=self.embedding_length,
            vocabulary=self.vocabulary,
            trained_context=self.context,
            heads=self.heads,
            window=self.window,
            windowed=windowed,
        )


@cache
def every() -> dict[str, Model]:
    raw = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return {name: Model(name=name, **fields) for name, fields in raw.items()}


def of(name: str) -> Model:
    """Return a model by its Ollama name. Raises UserError (status 2) if the table has no shape for it."""
    known = every()
    if name not in known:
        raise UserError(
            f"The shape of the model {name} is unknown.",
            f"Use one of similar size: {', '.join(known)}; or add it to scripts/ollama_gpu/planning/models.yaml.",
            status=2,
        )
    return known[name]
