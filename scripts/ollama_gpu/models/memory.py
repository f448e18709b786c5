"""The GPU memory of a model while it serves: weights, KV cache of every slot, compute buffers and the process.

The calculation follows Ollama (0.24: fs/ggml/ggml.go GraphSize, kvcache/causal.go Init); tests compare it with what
`/api/ps` reported. Each Ollama uses one GPU, and every model of the set is on every GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_gpu.models.gguf import Metadata

MIB = 1 << 20
GIB = 1 << 30

PROCESS_BYTES = 457 * MIB
"""Memory of the CUDA context of a model's process: Ollama's own reserve, ml/device.go MinimumMemory."""

KV_CACHE_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
"""Bytes of one element by OLLAMA_KV_CACHE_TYPE: a block of 32 quantised elements has a two-byte scale."""

_BATCH = 512
"""Prompt tokens per batch: Ollama's num_batch, which clients cannot change through the gateway."""
_PADDING = 256
"""A windowed cache is a multiple of this number of tokens (ml/backend/ggml CachePadding)."""
_WINDOW_MEMORY = {"gemma3": 0, "gemma3n": 0, "laguna": 0, "olmo3": 0, "gptoss": 4096, "gpt-oss": 4096}
"""Architectures whose windowed layers keep only a window, or this number of tokens if that is more."""
_WHOLE_EVERY = {"gemma3": 6, "gptoss": 2, "gpt-oss": 2}
"""Every how many layers a windowed architecture keeps the whole context, if the file does not specify it."""
_FEW_OUTPUTS = {
    *("bert", "deepseek2", "gemma3", "gemma3n", "gemma4", "glm4moelite", "gpt-oss", "gptoss", "laguna"),
    *("lfm2", "lfm2moe", "llama4", "mistral3", "mllama", "nemotron_h", "nemotron_h_moe", "nomic-bert", "olmo3"),
    *("qwen25vl", "qwen3", "qwen35", "qwen35moe", "qwen3moe", "qwen3next", "qwen3vl", "qwen3vlmoe"),
}
"""Architectures of Ollama's own engine: one vocabulary row per slot; llama.cpp has one per token of a batch."""


@dataclass(frozen=True)
class Serving:
    """Settings of an Ollama: ``slots`` concurrent streams with ``context`` tokens each."""

    slots: int
    context: int
    kv_cache_type: str = "f16"


@dataclass(frozen=True)
class Shape:
    """The properties of a model that decide its memory. Lengths in elements; ``kv_heads`` has a number per layer."""

    name: str
    weights_bytes: int
    architecture: str
    kv_heads: tuple[int, ...]
    key_length: int
    value_length: int
    embedding_length: int
    vocabulary: int
    trained_context: int
    heads: int
    embeds: bool = False
    window: int = 0
    windowed: tuple[bool, ...] = ()
    state_bytes: int = 0

    @property
    def layers(self) -> int:
        return len(self.kv_heads)


@dataclass(frozen=True)
class Need:
    """Bytes on one GPU, by purpose."""

    name: str
    weights: int
    kv_cache: int
    compute: int
    process: int = PROCESS_BYTES

    @property
    def loaded(self) -> int:
        """The size in `/api/ps` of a model that is entirely on its GPU."""
        return self.weights + self.kv_cache + self.compute

    @property
    def total(self) -> int:
        return self.loaded + self.process


def shape(name: str, metadata: Metadata, weights_bytes: int) -> Shape:
    """Return a model's shape from the metadata of its GGUF file. ``weights_bytes`` includes projectors.

    Raises ValueError that names a missing key.
    """
    architecture = str(metadata.get("general.architecture", ""))

    def value(key: str, default: Any = None) -> Any:
        found = metadata.get(f"{architecture}.{key}", default)
        if found is None:
            raise ValueError(f"{name}: its GGUF file has no {architecture or 'general.architecture'}.{key}")
        return found

    layers = int(value("block_count"))
    heads = _per_layer(value("attention.head_count"), layers)
    kv_heads = _per_layer(value("attention.head_count_kv", max(heads)), layers)
    width = int(value("embedding_length"))
    head = width // max(1, *heads)
    window = int(_first(value("attention.sliding_window", 0)))
    return Shape(
        name=name,
        weights_bytes=weights_bytes,
        architecture=architecture,
        kv_heads=tuple(kv if own else 0 for kv, own in zip(kv_heads, heads, strict=True)),
        key_length=int(value("attention.key_length", head)),
        value_length=int(value("attention.value_length", head)),
        embedding_length=width,
        vocabulary=int(metadata.get("tokenizer.ggml.tokens", value("vocab_size", 0))),
        trained_context=int(value("context_length")),
        heads=max(heads),
        embeds=f"{architecture}.pooling_type" in metadata,
        window=window,
        windowed=_windowed(architecture, value("attention.sliding_window_pattern", 0), layers) if window else (),
        state_bytes=_state_bytes(value),
    )


def need(model: Shape, serving: Serving) -> Need:
    """Return what a model needs on each GPU. Raises ValueError for an unknown type of KV cache."""
    if serving.kv_cache_type not in KV_CACHE_BYTES:
        raise ValueError(f"{serving.kv_cache_type} is not a type of KV cache: {', '.join(KV_CACHE_BYTES)}")
    context = min(serving.context, model.trained_context)
    slots, batch = (1, max(_BATCH, context)) if model.embeds else (serving.slots, _BATCH)
    element = KV_CACHE_BYTES[serving.kv_cache_type] if _flash_attention(model) else KV_CACHE_BYTES["f16"]
    whole, windowed = slots * context, _window_tokens(model, slots, context, batch)
    cache = 0
    for layer, heads in enumerate(model.kv_heads):
        tokens = windowed if model.windowed and model.windowed[layer] else whole
        cache += math.ceil(tokens * (model.key_length + model.value_length) * heads * element)
        cache += slots * model.state_bytes if heads == 0 else 0
    outputs = slots if model.architecture in _FEW_OUTPUTS else batch
    rows = 1 if _flash_attention(model) else 2 * model.heads  # of scores: without flash attention, all are in memory
    compute = 2 * batch * whole * rows + 4 * outputs * model.vocabulary + 4 * batch * 16 * model.embedding_length
    return Need(model.name, model.weights_bytes, cache, compute)


def total(needs: Iterable[Need]) -> int:
    """Return the bytes of all models on one GPU."""
    return sum(each.total for each in needs)


def explain(needs: Sequence[Need], serving: Serving) -> str:
    """Describe the sum, model by model."""
    parts = [
        f"{each.name}: weights {_gib(each.weights)} + KV cache {_gib(each.kv_cache)} "
        f"({serving.slots} slots x {serving.context} tokens, {serving.kv_cache_type}) "
        f"+ buffers {_gib(each.compute)} + process {_gib(each.process)} = {_gib(each.total)}"
        for each in needs
    ]
    return "; ".join(parts) + (f"; together {_gib(total(needs))}" if len(needs) > 1 else "")


def _window_tokens(model: Shape, slots: int, context: int, batch: int) -> int:
    window = max(model.window + (1 if slots > 1 else 0), _WINDOW_MEMORY.get(model.architecture, 0))
    if window >= context:
        return slots * context
    return math.ceil((slots * window + batch) / _PADDING) * _PADDING


def _windowed(architecture: str, pattern: Any, layers: int) -> tuple[bool, ...]:
    if architecture not in _WINDOW_MEMORY:
        return ()
    if isinstance(pattern, list):
        return tuple(bool(each) for each in _per_layer(pattern, layers))
    every = int(pattern) or _WHOLE_EVERY.get(architecture, 1)
    return tuple((layer + 1) % every != 0 for layer in range(layers))


def _flash_attention(model: Shape) -> bool:
    """Ollama's SupportsFlashAttention; the roles enable it."""
    return not model.embeds and model.architecture not in ("gemma2", "grok") and model.key_length == model.value_length


def _state_bytes(value: Any) -> int:
    """Bytes per stream of a layer without attention, in 32-bit numbers."""
    kernel, state, inner, groups = (
        int(_first(value(f"ssm.{key}", 0))) for key in ("conv_kernel", "state_size", "inner_size", "group_count")
    )
    return 4 * (max(0, kernel - 1) * (inner + 2 * groups * state) + state * inner)


def _per_layer(value: Any, layers: int) -> list[int]:
    return [int(each) for each in value][:layers] if isinstance(value, list) else [int(value)] * layers


def _first(value: Any) -> Any:
    return max(value, default=0) if isinstance(value, list) else value


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
