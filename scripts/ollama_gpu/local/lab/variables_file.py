"""The variables file with the lab's supplies as role variables, which molecule and the bake load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.core import files

from . import mirror
from .supplies import embedding, model, ollama, toolkit
from .supplies.open_webui import PushedImage


@dataclass(frozen=True)
class Supplies:
    """The images and supplies of the lab."""

    base_image: str
    data_image: str
    metadata_image: str
    ollama: ollama.Release
    model: model.Store
    toolkit: toolkit.Repository
    open_webui: PushedImage

    def variables(self) -> dict[str, Any]:
        """Return the role variables, with addresses on the lab's network."""
        return {
            "lab_base_image": self.base_image,
            "lab_data_image": self.data_image,
            "lab_metadata_image": self.metadata_image,
            "lab_ollama_version": ollama.VERSION,
            "lab_ollama_url": f"{mirror.ADDRESS}/{self.ollama.path}/{self.ollama.archive}",
            "lab_model_source": f"{mirror.ADDRESS}/{self.model.path}",
            "lab_models": [{"name": name, "digest": digest} for name, digest in self.model.digests.items()],
            "lab_embedding_model": embedding.NAME,
            "lab_toolkit_version": f"{toolkit.VERSION}-1",
            "lab_toolkit_repository": f"{mirror.ADDRESS}/apt",
            "lab_toolkit_key": f"{mirror.ADDRESS}/apt/{toolkit.KEY}",
            "lab_toolkit_key_checksum": f"sha256:{self.toolkit.key_digest}",
            "lab_open_webui_image": self.open_webui.address,
            "lab_insecure_registry": mirror.REGISTRY,
        }


def write(supplies: Supplies, file: Path) -> None:
    """Write the variables file, unless it has the same content."""
    write_variables(supplies.variables(), file)


def write_variables(variables: Mapping[str, Any], file: Path, mode: int = 0o666) -> None:
    """Write role variables to a file with ``mode`` (less the umask), unless it has the same content."""
    text = "# Written by `ollama-gpu lab supply`.\n" + yaml.safe_dump(dict(variables), sort_keys=False)
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    files.replace(file, text, mode)


def read(file: Path) -> dict[str, Any]:
    """Return the variables in the file; none if there is no file."""
    if not file.is_file():
        return {}
    values: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return values
