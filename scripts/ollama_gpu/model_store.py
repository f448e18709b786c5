"""A folder of Ollama's own layout: manifests/HOST/NAMESPACE/NAME/TAG and blobs/sha256-HEX."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu import gguf, model_memory
from ollama_gpu.errors import UserError
from ollama_gpu.model_memory import MIB, Shape

# Where Ollama's installer makes its service keep models; a person's own lie in ~/.ollama/models.
_SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(
    rf"(?:(?:(?P<host>[A-Za-z0-9_][A-Za-z0-9_.:-]*)/)?(?P<namespace>{_PART})/)?(?P<model>{_PART})(?::(?P<tag>{_PART}))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_WEIGHTS = "application/vnd.ollama.image.model"
_ON_THE_GPU = {_WEIGHTS, "application/vnd.ollama.image.projector", "application/vnd.ollama.image.adapter"}


@dataclass(frozen=True)
class Blob:
    digest: str
    size: int
    media_type: str = ""

    @property
    def file(self) -> str:
        return blob_file(self.digest)


@dataclass(frozen=True)
class Manifest:
    """A model's manifest: ``path`` below the store, ``content`` byte by byte, whose sha256 is ``digest``."""

    name: str
    path: str
    content: bytes

    @property
    def digest(self) -> str:
        return sha256(self.content)

    @property
    def blobs(self) -> list[Blob]:
        """Configuration and layers, each once. Raises UserError where the manifest is not one of Ollama's."""
        try:
            content = json.loads(self.content)
            layers = [content["config"], *content["layers"]]
            blobs = [Blob(layer["digest"], int(layer["size"]), str(layer.get("mediaType", ""))) for layer in layers]
            if not all(_DIGEST.fullmatch(blob.digest) for blob in blobs):
                raise ValueError("a digest that is none")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"The manifest of {self.name} is not one of Ollama's: {error!r}.",
                f"Fetch it again with `ollama pull {self.name}`.",
            ) from error
        return list({blob.digest: blob for blob in blobs}.values())

    @property
    def weights(self) -> Blob:
        """The layer that Ollama keeps a process for. Raises UserError for a model that has none of GGUF."""
        found = [blob for blob in self.blobs if blob.media_type == _WEIGHTS]
        if not found:
            raise UserError(
                f"{self.name} has no weights that Ollama can load from a file (a layer {_WEIGHTS}).",
                "Choose a model in the GGUF format.",
            )
        return found[0]

    @property
    def weights_bytes(self) -> int:
        """What of it goes to the GPU."""
        return sum(blob.size for blob in self.blobs if blob.media_type in _ON_THE_GPU)


def default_folder() -> Path:
    """The store of this machine's Ollama: OLLAMA_MODELS, the user's own, or that of the service."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return Path(named)
    own = Path.home() / ".ollama" / "models"
    return own if own.is_dir() or not _SERVICE_STORE.is_dir() else _SERVICE_STORE


def manifest_path(name: str) -> str:
    """Where a model's manifest lies in any store. Raises UserError (status 2) for a name that Ollama would not take."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise UserError(f"`{name}` is no model's name.", "Write it as Ollama does, such as gemma3:4b.", status=2)
    host, namespace = match["host"] or "registry.ollama.ai", match["namespace"] or "library"
    return f"manifests/{host}/{namespace}/{match['model']}/{match['tag'] or 'latest'}"


def full_name(name: str) -> str:
    """A name as Ollama lists it."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def is_digest(text: str) -> bool:
    """Whether a text is one as Ollama writes it: sha256: and 64 digits."""
    return _DIGEST.fullmatch(text) is not None


def blob_file(digest: str) -> str:
    """Where a blob lies in any store."""
    return f"blobs/{digest.replace(':', '-')}"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Store:
    folder: Path

    def manifest(self, name: str, digest: str = "") -> Manifest:
        """A model's manifest; every blob of it is there with the right size. ``digest``: the one that it must have.

        Raises UserError for a model that the store lacks, has otherwise, or has in part.
        """
        path = manifest_path(name)
        try:
            found = Manifest(name, path, (self.folder / path).read_bytes())
        except FileNotFoundError as error:
            have = ", ".join(sorted(self._names())) or "no model"
            raise UserError(
                f"{name} is not in the store {self.folder}, which has {have}.",
                f"Fetch it there with `ollama pull {name}`, or name another folder with --store.",
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.folder / path} cannot be read: {error.strerror}.", "Run this as a user that may read the store."
            ) from error
        if digest and found.digest != digest:
            raise UserError(
                f"{name} in the store {self.folder} is {found.digest}, wanted is {digest}.",
                f"Fetch the wanted one with `ollama pull {name}`, or leave the digest out to take this one.",
            )
        for blob in found.blobs:
            file = self.folder / blob.file
            if not file.is_file() or file.stat().st_size != blob.size:
                raise UserError(
                    f"{name} is not whole in the store {self.folder}: "
                    f"{blob.file} is missing or not {blob.size} bytes long.",
                    f"Fetch it again with `ollama pull {name}`.",
                )
        return found

    def shape(self, manifest: Manifest) -> Shape:
        """What a model's GGUF file says of it. Raises UserError for a file that is none."""
        try:
            metadata = gguf.read(self.folder / manifest.weights.file)
            return model_memory.shape(manifest.name, metadata, manifest.weights_bytes)
        except ValueError as error:
            raise UserError(
                f"The weights of {manifest.name} in {self.folder} cannot be weighed: {error}.",
                f"Fetch it again with `ollama pull {manifest.name}`, or choose a model in the GGUF format.",
            ) from error

    def verify(self, blob: Blob, name: str) -> None:
        """Raises UserError unless a blob has the content that its name says."""
        digest = hashlib.sha256()
        with (self.folder / blob.file).open("rb") as file:
            while part := file.read(MIB):
                digest.update(part)
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise UserError(
                f"{name} is damaged in the store {self.folder}: {blob.file} has sha256 {digest.hexdigest()}.",
                f"Remove that file and fetch the model again with `ollama pull {name}`.",
            )

    def _names(self) -> Iterator[str]:
        for file in (self.folder / "manifests").glob("*/*/*/*"):
            host, namespace, model, tag = file.relative_to(self.folder / "manifests").parts
            prefix = [] if host == "registry.ollama.ai" else [host, namespace]
            prefix = prefix or ([] if namespace == "library" else [namespace])
            yield "/".join([*prefix, f"{model}:{tag}"])
