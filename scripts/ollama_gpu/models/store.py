"""A model store in Ollama's layout: manifests/HOST/NAMESPACE/NAME/TAG and blobs/sha256-HEX."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.models import gguf, memory
from ollama_gpu.models.memory import MIB, Shape

# The store of the service that Ollama's installer sets up; a user's own store is ~/.ollama/models.
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
    """A model's manifest: ``path`` below the store, and the exact ``content``, whose sha256 is ``digest``."""

    name: str
    path: str
    content: bytes

    @property
    def digest(self) -> str:
        return sha256(self.content)

    @property
    def blobs(self) -> list[Blob]:
        """The configuration and the layers, without duplicates. Raises UserError for an invalid manifest."""
        try:
            content = json.loads(self.content)
            layers = [content["config"], *content["layers"]]
            blobs = [Blob(layer["digest"], int(layer["size"]), str(layer.get("mediaType", ""))) for layer in layers]
            if not all(_DIGEST.fullmatch(blob.digest) for blob in blobs):
                raise ValueError("an invalid digest")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"The manifest of {self.name} is not a valid Ollama manifest: {error!r}.",
                f"Fetch it again with `ollama pull {self.name}`.",
            ) from error
        return list({blob.digest: blob for blob in blobs}.values())

    @property
    def weights(self) -> Blob:
        """The layer with the GGUF weights. Raises UserError for a model without one."""
        found = [blob for blob in self.blobs if blob.media_type == _WEIGHTS]
        if not found:
            raise UserError(
                f"{self.name} has no weights that Ollama can load from a file (a layer {_WEIGHTS}).",
                "Choose a model in the GGUF format.",
            )
        return found[0]

    @property
    def weights_bytes(self) -> int:
        """The bytes that Ollama loads to the GPU."""
        return sum(blob.size for blob in self.blobs if blob.media_type in _ON_THE_GPU)


def default_folder() -> Path:
    """Return the store of this machine's Ollama: OLLAMA_MODELS, the user's, or the service's."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return Path(named)
    own = Path.home() / ".ollama" / "models"
    return own if own.is_dir() or not _SERVICE_STORE.is_dir() else _SERVICE_STORE


def manifest_path(name: str) -> str:
    """Return the path of a model's manifest in any store. Raises UserError (status 2) for an invalid name."""
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise UserError(f"`{name}` is not a valid model name.", "Write it as Ollama does, such as gemma3:4b.", status=2)
    host, namespace = match["host"] or "registry.ollama.ai", match["namespace"] or "library"
    return f"manifests/{host}/{namespace}/{match['model']}/{match['tag'] or 'latest'}"


def full_name(name: str) -> str:
    """Return a name with its tag, as Ollama lists it."""
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def is_digest(text: str) -> bool:
    """Whether a text is a digest in Ollama's format: sha256: and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def blob_file(digest: str) -> str:
    """Return the path of a blob in any store."""
    return f"blobs/{digest.replace(':', '-')}"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Store:
    folder: Path

    def manifest(self, name: str, digest: str = "") -> Manifest:
        """Return a model's manifest after checking that all its blobs exist with the right size.

        Raises UserError for a model that is missing or incomplete, or whose digest is not ``digest``.
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
                f"{self.folder / path} cannot be read: {error.strerror}.",
                "Run this as a user with read access to the store.",
            ) from error
        if digest and found.digest != digest:
            raise UserError(
                f"{name} in the store {self.folder} has the digest {found.digest}, not {digest}.",
                f"Fetch that digest with `ollama pull {name}`, or omit the digest to use this one.",
            )
        for blob in found.blobs:
            file = self.folder / blob.file
            if not file.is_file() or file.stat().st_size != blob.size:
                raise UserError(
                    f"{name} is incomplete in the store {self.folder}: "
                    f"{blob.file} is missing or not {blob.size} bytes long.",
                    f"Fetch it again with `ollama pull {name}`.",
                )
        return found

    def shape(self, manifest: Manifest) -> Shape:
        """Read a model's shape from its GGUF file. Raises UserError for an invalid file."""
        try:
            metadata = gguf.read(self.folder / manifest.weights.file)
            return memory.shape(manifest.name, metadata, manifest.weights_bytes)
        except ValueError as error:
            raise UserError(
                f"The GPU memory of {manifest.name} in {self.folder} cannot be calculated: {error}.",
                f"Fetch it again with `ollama pull {manifest.name}`, or choose a model in the GGUF format.",
            ) from error

    def verify(self, blob: Blob, name: str) -> None:
        """Raises UserError if a blob's content does not match the digest in its name."""
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
