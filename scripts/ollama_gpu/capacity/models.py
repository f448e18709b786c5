"""Models that can be planned for before they are here: their shapes (models.yaml)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from ollama_gpu.errors import UserError
from ollama_gpu.model_memory import Shape

_WHOLE_EVERY = 6  # Gemma 3: five windowed layers, then one that remembers the whole context


class Model(BaseModel):
    """``parameters`` in 1e9, ``weights_gb`` in 1e9 bytes, lengths in elements, ``window`` and ``context`` in tokens.

    ``feed_forward`` is the inner length of that part of a layer, 0 where the table does not have it; ``tied``: the
    vocabulary's weights serve at both ends.
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
        """As the sum of GPU memory wants it."""
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
    """A model by Ollama's name. Raises UserError (status 2) for one whose shape is not in the table."""
    known = every()
    if name not in known:
        raise UserError(
            f"The shape of the model {name} is not known here.",
            f"Use one of like size: {', '.join(known)}; or add it to scripts/ollama_gpu/capacity/models.yaml.",
            status=2,
        )
    return known[name]
