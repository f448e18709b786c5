"""A GGUF file of a model's shape with random weights: it computes as fast as the real one, and talks nonsense.

Speed depends on shapes and kinds of numbers, not on values. The values are random all the same, of a size that keeps
activations near one: then answers run to their bound, without an end of text and without one token thirty times, at
which Ollama cuts an answer off.

Layouts of blocks: github.com/ggml-org/ggml, src/ggml-common.h; the mix of Q4_K_M: llama.cpp, src/llama-quant.cpp.
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

from ollama_gpu.capacity.models import Model
from ollama_gpu.errors import UserError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
"""Each is one token, and no two together are another: a prompt of so many letters has so many tokens."""

_CHUNK_BYTES = 1 << 22
_ALIGNMENT = 32
_SPECIAL = ("<unk>", "<s>", "</s>")
_BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_SILENT = len(_SPECIAL) + len(_BYTES)
"""Tokens that are never said: an end would cut the answer short, and a lone byte, no text yet, is held back."""

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # kinds of tokens
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9  # kinds of values


@dataclass(frozen=True)
class Block:
    """How numbers are packed: ``code`` in the file, ``numbers`` of a block and its ``size`` in bytes.

    ``scales``: offset of each 16-bit scale and its multiple of the first one. ``spread``: the standard deviation of the
    numbers where that first scale is 1 and all other bits are random.
    """

    code: int
    numbers: int
    size: int
    scales: tuple[tuple[int, float], ...]
    spread: float


def _variance(values: int) -> float:
    """Of whole numbers that are evenly spread over so many values."""
    return (values**2 - 1) / 12


_MEAN_4, _MEAN_6 = 7.5, 31.5  # of 0..15 and of 0..63
BLOCKS = {
    "q4_0": Block(2, 32, 18, ((0, 1.0),), math.sqrt(_variance(16))),
    "q8_0": Block(8, 32, 34, ((0, 1.0),), math.sqrt(_variance(256))),
    # scale x q - minimum, 6 and 4 and 6 bits; the minimum's own scale is such that the mean is 0
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
"""Mixes that can be written, with the number by which a file names its own."""


@dataclass(frozen=True)
class Tensor:
    """``columns`` numbers in each of ``rows``; ``block`` None: ones of 32 bits. The first ``silent`` rows are 0."""

    name: str
    columns: int
    rows: int
    block: Block | None
    silent: int = 0

    @property
    def size(self) -> int:
        """Bytes, without what fills up to the next tensor."""
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
    """Of a model of the architecture ``llama``. UserError (status 2) for a shape or mix that cannot be written."""
    if mix not in FILE_TYPES:
        raise UserError(f"{mix} is no mix of weights that can be written: {', '.join(FILE_TYPES)}.", status=2)
    if model.architecture != "llama" or not model.feed_forward:
        raise UserError(
            f"{model.name} cannot be made of random weights.",
            "Use one of the architecture llama whose feed_forward is in scripts/ollama_gpu/capacity/models.yaml.",
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
        raise UserError(f"{model.name}: the rows of {odd[0]} are no whole blocks of {mix}.", status=2)
    return found


def write(model: Model, mix: str, path: Path) -> Written:
    """Write the file: an 8B takes half a minute. UserError where the disk is too small."""
    parts = tensors(model, mix)
    head = _head(model, mix, parts)
    total = len(head) + sum(each.padded for each in parts)
    free = shutil.disk_usage(path.parent).free
    if free < 1.05 * total:
        raise UserError(
            f"{path.parent} has {free / 1e9:.1f} GB free, and the model takes {total / 1e9:.1f} GB.",
            "Free some space, or name a larger disk.",
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
    """So many blocks of random bits, their scales such that the numbers have that standard deviation."""
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
