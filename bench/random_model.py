"""A GGUF file of a model's shape with random weights: it computes as fast as the real model but outputs nonsense.

Speed depends on shapes and number formats, not on values. The values are random with a size that keeps activations
near one: then answers run to their maximum length, without an end of text and without one token thirty times in a row,
at which Ollama cuts an answer off.

Block layouts: github.com/ggml-org/ggml, src/ggml-common.h. The mix of Q4_K_M: llama.cpp, src/llama-quant.cpp.
"""

from __future__ import annotations

import hashlib
import math
import random
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.planning.models import Model

LETTERS = "abcdefghijklmnopqrstuvwxyz"
"""Each letter is one token, and no two form another: a prompt of N letters has N tokens."""

_CHUNK_BYTES = 1 << 22
_ALIGNMENT = 32
_SPECIAL = ("<unk>", "<s>", "</s>")
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SILENT = len(_SPECIAL) + len(_BYTES)
"""Tokens that are never generated: an end token would cut the answer short, and Ollama holds back a lone byte."""

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # token types
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9  # value types


@dataclass(frozen=True)
class Block:
    """Packing of numbers: ``code`` in the file, ``numbers`` per block and its ``size`` in bytes.

    ``scales``: offset of each 16-bit scale and its multiple of the first one. ``spread``: the standard deviation of the
    numbers if the first scale is 1 and all other bits are random.
    """

    code: int
    numbers: int
    size: int
    scales: tuple[tuple[int, float], ...]
    spread: float


def _variance(values: int) -> float:
    """Variance of integers that are evenly distributed over ``values`` values."""
    return (values**2 - 1) / 12


_MEAN_4, _MEAN_6 = 7.5, 31.5  # of 0..15 and of 0..63
BLOCKS = {
    "q4_0": Block(2, 32, 18, ((0, 1.0),), math.sqrt(_variance(16))),
    "q8_0": Block(8, 32, 34, ((0, 1.0),), math.sqrt(_variance(256))),
    # scale x q - minimum, with 6, 4 and 6 bits; the scale of the minimum is chosen so that the mean is 0
    "q4_k": Block(
        12,
        256,
        144,
        ((0, 1.0), (2, _MEAN_4)),
        math.sqrt(
            (_variance(64) + _MEAN_6**2) * (_variance(16) + _MEAN_4**2)
            - (_MEAN_6 * _MEAN_4) ** 2
            + _MEAN_4**2 * _variance(64)
        ),
    ),
    "q6_k": Block(14, 256, 210, ((208, 1.0),), math.sqrt(_variance(256) * _variance(64))),
}
_F32 = 0

FILE_TYPES = {"q4_0": 2, "q8_0": 7, "q4_k_m": 15}
"""Supported mixes, with the number that identifies each in a GGUF file."""


@dataclass(frozen=True)
class Tensor:
    """``rows`` of ``columns`` numbers; ``block`` None: 32-bit floats, all ones. The first ``silent`` rows are 0."""

    name: str
    columns: int
    rows: int
    block: Block | None
    silent: int = 0

    @property
    def size(self) -> int:
        """Bytes, without the padding before the next tensor."""
        return (
            4 * self.columns if self.block is None else self.rows * self.columns // self.block.numbers * self.block.size
        )

    @property
    def padded(self) -> int:
        return math.ceil(self.size / _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True)
class Written:
    """A file, its digest (``sha256:...``) and the bytes of its tensors."""

    path: Path
    digest: str
    weights_bytes: int


def tensors(model: Model, mix: str) -> list[Tensor]:
    """List the tensors of a ``llama`` model. Raises UserError (status 2) for an unsupported shape or mix."""
    if mix not in FILE_TYPES:
        raise UserError(f"{mix} is not a supported mix of weights: {', '.join(FILE_TYPES)}.", status=2)
    if model.architecture != "llama" or not model.feed_forward:
        raise UserError(
            f"Cannot make a model of random weights in the shape of {model.name}.",
            "Use a model of the architecture llama that has feed_forward in scripts/ollama_gpu/planning/models.yaml.",
            status=2,
        )
    plain = BLOCKS["q4_k" if mix == "q4_k_m" else mix]
    better = BLOCKS["q6_k"] if mix == "q4_k_m" else plain
    width, heads, kv = model.embedding_length, model.heads * model.head_length, model.kv_heads * model.head_length
    found = [Tensor("token_embd.weight", width, model.vocabulary, better if model.tied else plain, _SILENT)]
    for layer in range(model.layers):
        more = better if _more_bits(layer, model.layers) else plain
        rows = (
            ("attn_norm", width, 1, None),
            ("attn_q", width, heads, plain),
            ("attn_k", width, kv, plain),
            ("attn_v", width, kv, more),
            ("attn_output", heads, width, plain),
            ("ffn_norm", width, 1, None),
            ("ffn_gate", width, model.feed_forward, plain),
            ("ffn_up", width, model.feed_forward, plain),
            ("ffn_down", model.feed_forward, width, more),
        )
        found += [Tensor(f"blk.{layer}.{name}.weight", *shape) for name, *shape in rows]
    found.append(Tensor("output_norm.weight", width, 1, None))
    if not model.tied:
        found.append(Tensor("output.weight", width, model.vocabulary, better, _SILENT))
    odd = [each.name for each in found if each.block and each.columns % each.block.numbers]
    if odd:
        raise UserError(f"{model.name}: the rows of {odd[0]} are not whole blocks of {mix}.", status=2)
    return found


def write(model: Model, mix: str, path: Path) -> Written:
    """Write the file; an 8B takes half a minute. Raises UserError if the disk is too small."""
    parts = tensors(model, mix)
    head = _head(model, mix, parts)
    total = len(head) + sum(each.padded for each in parts)
    free = shutil.disk_usage(path.parent).free
    if free < 1.05 * total:
        raise UserError(
            f"{path.parent} has {free / 1e9:.1f} GB free, and the model takes {total / 1e9:.1f} GB.",
            "Free some space, or use a larger disk.",
        )
    digest = hashlib.sha256()
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            for chunk in _chunks(head, parts):
                file.write(chunk)
                digest.update(chunk)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    return Written(path, f"sha256:{digest.hexdigest()}", sum(each.size for each in parts))


def _more_bits(layer: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between: llama.cpp's use_more_bits."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _chunks(head: bytes, parts: Sequence[Tensor]) -> Iterator[bytes | bytearray]:
    yield head
    chance = random.Random()  # noqa: S311 - weights, no secret
    for tensor in parts:
        if tensor.block is None:
            yield struct.pack("<f", 1.0) * tensor.columns
        else:
            blocks = tensor.columns // tensor.block.numbers
            yield from filled(tensor.block, blocks * tensor.silent, 0.0, chance)
            yield from filled(tensor.block, blocks * (tensor.rows - tensor.silent), tensor.columns**-0.5, chance)
        yield bytes(tensor.padded - tensor.size)


def filled(block: Block, count: int, deviation: float, chance: random.Random) -> Iterator[bytearray]:
    """``count`` blocks of random bits, with scales that give the numbers this standard deviation."""
    at_once = _CHUNK_BYTES // block.size
    for start in range(0, count, at_once):
        many = min(at_once, count - start)
        chunk = bytearray(chance.randbytes(many * block.size))
        for offset, multiple in block.scales:
            low, high = struct.pack("<e", deviation / block.spread * multiple)
            chunk[offset :: block.size] = bytes([low]) * many
            chunk[offset + 1 :: block.size] = bytes([high]) * many
        yield chunk


def _head(model: Model, mix: str, parts: Sequence[Tensor]) -> bytes:
    """Everything before the weights."""
    values = _metadata(model, mix)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(parts), len(values))
    head += b"".join(_text(key) + struct.pack("<I", kind) + _value(kind, value) for key, kind, value in values)
    offset = 0
    for tensor in parts:
        lengths = (tensor.columns,) if tensor.block is None else (tensor.columns, tensor.rows)
        head += _text(tensor.name) + struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths)
        head += struct.pack("<IQ", tensor.block.code if tensor.block else _F32, offset)
        offset += tensor.padded
    return head + bytes(-len(head) % _ALIGNMENT)


def _metadata(model: Model, mix: str) -> list[tuple[str, int, Any]]:
    words = [*LETTERS, "\u2581"]
    filler = [f"\u2581w{number}" for number in range(model.vocabulary - _SILENT - len(words))]
    tokens = [*_SPECIAL, *_BYTES, *words, *filler]
    if len(tokens) != model.vocabulary:
        raise UserError(f"{model.name}: a vocabulary has at least {_SILENT + len(words)} tokens.", status=2)
    normal = [_NORMAL] * (len(words) + len(filler))
    return [
        ("general.architecture", _STRING, "llama"),
        ("general.name", _STRING, f"random weights of the shape of {model.name}"),
        ("general.file_type", _UINT32, FILE_TYPES[mix]),
        ("general.quantization_version", _UINT32, 2),
        ("llama.block_count", _UINT32, model.layers),
        ("llama.context_length", _UINT32, model.context),
        ("llama.embedding_length", _UINT32, model.embedding_length),
        ("llama.feed_forward_length", _UINT32, model.feed_forward),
        ("llama.attention.head_count", _UINT32, model.heads),
        ("llama.attention.head_count_kv", _UINT32, model.kv_heads),
        ("llama.attention.key_length", _UINT32, model.head_length),
        ("llama.attention.value_length", _UINT32, model.head_length),
        ("llama.attention.layer_norm_rms_epsilon", _FLOAT32, 1e-5),
        ("llama.rope.dimension_count", _UINT32, model.head_length),
        ("llama.rope.freq_base", _FLOAT32, 500000.0),
        ("llama.vocab_size", _UINT32, model.vocabulary),
        ("tokenizer.ggml.model", _STRING, "llama"),
        ("tokenizer.ggml.tokens", _ARRAY, (_STRING, tokens)),
        ("tokenizer.ggml.scores", _ARRAY, (_FLOAT32, [-float(index) for index in range(len(tokens))])),
        ("tokenizer.ggml.token_type", _ARRAY, (_INT32, [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *normal])),
        ("tokenizer.ggml.unknown_token_id", _UINT32, 0),
        ("tokenizer.ggml.bos_token_id", _UINT32, 1),
        ("tokenizer.ggml.eos_token_id", _UINT32, 2),
        ("tokenizer.ggml.add_bos_token", _BOOL, True),
        ("tokenizer.ggml.add_eos_token", _BOOL, False),
        ("tokenizer.ggml.add_space_prefix", _BOOL, False),
    ]


_CODES = {_UINT32: "I", _INT32: "i", _FLOAT32: "f", _BOOL: "?"}


def _value(kind: int, value: Any) -> bytes:
    if kind == _STRING:
        return _text(value)
    if kind != _ARRAY:
        return struct.pack(f"<{_CODES[kind]}", value)
    inner, values = value
    content = (
        b"".join(map(_text, values)) if inner == _STRING else struct.pack(f"<{len(values)}{_CODES[inner]}", *values)
    )
    return struct.pack("<IQ", inner, len(values)) + content


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded
