"""Models of random weights: file size, distribution of the numbers, and refusals."""

from __future__ import annotations

import hashlib
import random
import statistics
import struct
from collections import namedtuple
from pathlib import Path

import pytest

from bench import random_model
from ollama_gpu.core.errors import UserError
from ollama_gpu.models import gguf, memory
from ollama_gpu.planning import models
from tests.gpu.conftest import TINY


@pytest.mark.parametrize(("name", "published_gb"), [("llama3.1:8b", 4.92), ("llama3.2:3b", 2.02)])
def test_a_file_has_the_size_that_the_library_publishes(name: str, published_gb: float) -> None:
    size = sum(tensor.size for tensor in random_model.tensors(models.of(name), "q4_k_m"))
    assert size / 1e9 == pytest.approx(published_gb, rel=0.005)


@pytest.mark.parametrize("mix", random_model.FILE_TYPES)
def test_the_file_describes_the_shape_and_has_its_length(tmp_path: Path, mix: str) -> None:
    written = random_model.write(TINY, mix, tmp_path / "tiny.gguf")
    content = written.path.read_bytes()
    assert written.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert written.weights_bytes == sum(tensor.size for tensor in random_model.tensors(TINY, mix))
    assert 0 < len(content) - written.weights_bytes < 64_000
    shape = memory.shape("tiny", gguf.read(written.path), written.weights_bytes)
    assert shape == TINY.shape.__class__(**{**vars(TINY.shape), "weights_bytes": written.weights_bytes})
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


CHANCE = random.Random(7)  # noqa: S311 - weights, no secret


def half(content: bytes, offset: int) -> float:
    value: float = struct.unpack_from("<e", content, offset)[0]
    return value


def q4_0(block: bytes) -> list[float]:
    scale = half(block, 0)
    return [scale * (nibble - 8) for byte in block[2:] for nibble in (byte & 15, byte >> 4)]


def q8_0(block: bytes) -> list[float]:
    return [half(block, 0) * value for value in struct.unpack("<32b", block[2:])]


def q4_k(block: bytes) -> list[float]:
    """As ggml's dequantize_row_q4_K and get_scale_min_k4."""
    scale, low, packed, values = half(block, 0), half(block, 2), block[4:16], block[16:]
    found = []
    for part in range(8):
        if part < 4:
            own, minimum = packed[part] & 63, packed[part + 4] & 63
        else:
            own = (packed[part + 4] & 15) | (packed[part - 4] >> 6 << 4)
            minimum = (packed[part + 4] >> 4) | (packed[part] >> 6 << 4)
        for byte in values[part // 2 * 32 : part // 2 * 32 + 32]:
            found.append(scale * own * (byte >> 4 if part % 2 else byte & 15) - low * minimum)
    return found


def q6_k(block: bytes) -> list[float]:
    """As ggml's dequantize_row_q6_K."""
    low, high, scales, scale = block[:128], block[128:192], struct.unpack("<16b", block[192:208]), half(block, 208)
    found = []
    for side in range(2):
        for index in range(32):
            top = high[32 * side + index]
            first, second = low[64 * side + index], low[64 * side + index + 32]
            bits = (first & 15, second & 15, first >> 4, second >> 4)
            for part, four in enumerate(bits):
                value = (four | ((top >> 2 * part & 3) << 4)) - 32
                found.append(scale * scales[8 * side + index // 16 + 2 * part] * value)
    return found


@pytest.mark.parametrize("unpack", [q4_0, q8_0, q4_k, q6_k])
def test_numbers_have_the_requested_spread(unpack: object) -> None:
    block = random_model.BLOCKS[unpack.__name__]  # type: ignore[attr-defined]
    (content,) = random_model.filled(block, 400, 0.02, CHANCE)
    numbers = [
        number
        for start in range(0, len(content), block.size)
        for number in unpack(bytes(content[start : start + block.size]))  # type: ignore[operator]
    ]
    assert len(numbers) == 400 * block.numbers
    assert statistics.pstdev(numbers) == pytest.approx(0.02, rel=0.05)
    # Four bits have eight values below 0 and seven above.
    assert statistics.fmean(numbers) == pytest.approx(0, abs=0.003)


def test_a_deviation_of_zero_gives_zeros() -> None:
    (content,) = random_model.filled(random_model.BLOCKS["q6_k"], 3, 0.0, CHANCE)
    assert {abs(number) for start in (0, 210, 420) for number in q6_k(bytes(content[start : start + 210]))} == {0}


@pytest.mark.parametrize(
    ("change", "mix", "says"),
    [
        ({"feed_forward": 0}, "q4_0", "Cannot make a model of random weights"),
        ({"architecture": "gemma3"}, "q4_0", "Cannot make a model of random weights"),
        ({"feed_forward": 520}, "q4_k_m", "not whole blocks"),
        ({"vocabulary": 100}, "q4_0", "a vocabulary has at least"),
        ({}, "q3_k", "q3_k is not a supported mix"),
    ],
)
def test_unsupported_models_are_refused(tmp_path: Path, change: dict[str, object], mix: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        random_model.write(TINY.model_copy(update=change), mix, tmp_path / "model.gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")(1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage)
    with pytest.raises(UserError, match=r"0\.0 GB free, and the model takes 0\.0 GB"):
        random_model.write(TINY, "q8_0", tmp_path / "model.gguf")
    assert list(tmp_path.iterdir()) == []
