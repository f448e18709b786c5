"""Pulls a model from Ollama's registry into a store, by its digest, without an Ollama."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_gpu.terraform.progress import ProgressView

from . import download
from .sources import MANIFEST, manifest_address

_PARAMETERS = "application/vnd.ollama.image.params"


def pull(
    registry: str, name: str, digest: str, parameters: Mapping[str, object], store: Path, view: ProgressView
) -> None:
    """Write the model ``name`` whose manifest has the SHA-256 ``digest``, with ``parameters`` added, into ``store``.

    The added parameters give the store's manifest another digest; weights and template keep theirs.
    Raises UserError if a file cannot be read or is not the one with its digest.
    """
    model, _, tag = name.partition(":")
    address = f"{registry}/v2/library/{model}"
    blobs = store / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    file = store / "manifests" / "registry.ollama.ai" / "library" / model / tag
    file.parent.mkdir(parents=True, exist_ok=True)
    download.fetch(manifest_address(registry, name), digest, file, view, MANIFEST)
    manifest = json.loads(file.read_text(encoding="utf-8"))
    for part in (manifest["config"], *manifest["layers"]):
        found = part["digest"].removeprefix("sha256:")
        target = blobs / f"sha256-{found}"
        if not target.is_file():
            download.fetch(f"{address}/blobs/{part['digest']}", found, target, view)
    if parameters:
        _add_parameters(manifest, parameters, blobs)
        file.write_text(json.dumps(manifest, separators=(",", ":")), encoding="utf-8")


def _add_parameters(manifest: dict[str, Any], parameters: Mapping[str, object], blobs: Path) -> None:
    layers: list[dict[str, Any]] = manifest["layers"]
    known: dict[str, object] = {}
    for layer in [each for each in layers if each["mediaType"] == _PARAMETERS]:
        old = blobs / layer["digest"].replace(":", "-")
        known |= json.loads(old.read_text(encoding="utf-8"))
        layers.remove(layer)
    content = json.dumps({**known, **parameters}).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / f"sha256-{digest}").write_bytes(content)
    layers.append({"mediaType": _PARAMETERS, "digest": f"sha256:{digest}", "size": len(content)})
