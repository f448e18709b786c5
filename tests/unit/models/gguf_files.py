"""Minimal GGUF files: real metadata and placeholder weights."""

from __future__ import annotations

import struct

from ollama_gpu.models import memory
from ollama_gpu.models.memory import Shape


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def file(*pairs: tuple[str, int, bytes], version: int = 3, weights: bytes = b"weights") -> bytes:
    """Return a file with these keys, each with its type and its value as bytes."""
    head = b"GGUF" + struct.pack("<IQQ", version, 7, len(pairs))
    return head + b"".join(text(key) + struct.pack("<I", kind) + value for key, kind, value in pairs) + weights


def numbers(value: int) -> bytes:
    return struct.pack("<I", value)


def llama(weights: bytes = b"weights", layers: int = 2, embeds: bool = False) -> bytes:
    """Return a model of ``layers`` layers with 8 heads whose keys and values have 64 elements each."""
    pairs = [
        ("general.architecture", 8, text("llama")),
        ("llama.block_count", 4, numbers(layers)),
        ("llama.embedding_length", 4, numbers(512)),
        ("llama.attention.head_count", 4, numbers(8)),
        ("llama.context_length", 4, numbers(4096)),
        ("llama.vocab_size", 4, numbers(1000)),
    ]
    if embeds:
        pairs.append(("llama.pooling_type", 4, numbers(1)))
    return file(*pairs, weights=weights)


def llama_shape(name: str, weights_bytes: int, layers: int = 2) -> Shape:
    """Return the shape of ``llama``."""
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": layers,
        "llama.embedding_length": 512,
        "llama.attention.head_count": 8,
        "llama.context_length": 4096,
        "llama.vocab_size": 1000,
    }
    return memory.shape(name, metadata, weights_bytes)
