"""Supplies are pinned, found in the cache, and described in one variables file."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab import supply, variables_file
from ollama_gpu.local.lab.go_modules import Module
from ollama_gpu.local.lab.sources import Reachable, Sources
from ollama_gpu.local.lab.supplies import model, ollama, open_webui, toolkit
from ollama_gpu.local.lab.supplies.open_webui import PushedImage
from ollama_gpu.local.lab.variables_file import Supplies

DIGEST = "0" * 64


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def supplied(cache: Path) -> Supplies:
    put(ollama.folder(cache) / ollama.CHECKSUMS, f"{DIGEST}  ./ollama-linux-amd64.tar.zst\n")
    put(model.folder(cache) / "manifests/registry.ollama.ai/library/gemma3/270m", "{}")
    put(model.folder(cache) / "manifests/registry.ollama.ai/library/all-minilm/22m", "{}")
    put(toolkit.folder(cache) / "InRelease", "")
    put(toolkit.folder(cache) / "gpgkey", "{}")
    release, store, repository = ollama.find(cache), model.find(cache), toolkit.find(cache)
    assert release is not None
    assert store is not None
    assert repository is not None
    return Supplies("base:1", "data:1", "metadata:1", release, store, repository, PushedImage(f"sha256:{DIGEST}"))


def test_empty_cache_has_no_supplies(tmp_path: Path) -> None:
    assert ollama.find(tmp_path) is None
    assert model.find(tmp_path) is None
    assert toolkit.find(tmp_path) is None


def test_variables_have_addresses_and_digests_of_all_supplies(tmp_path: Path) -> None:
    variables = supplied(tmp_path).variables()
    assert variables["lab_ollama_url"] == "http://mirror/ollama/v0.24.0/ollama-linux-amd64.tar.zst"
    # the digest of a model is its manifest's, here of `{}`
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    digest = f"sha256:{empty}"
    assert variables["lab_models"] == [
        {"name": "gemma3:270m", "digest": digest},
        {"name": "all-minilm:22m", "digest": digest},
    ]
    assert variables["lab_open_webui_image"] == f"mirror:5000/open-webui@sha256:{DIGEST}"
    assert variables["lab_toolkit_key_checksum"] == f"sha256:{empty}"


def test_variables_file_is_yaml_and_is_not_written_twice(tmp_path: Path) -> None:
    supplies, file = supplied(tmp_path), tmp_path / "work" / "supplies.yml"
    variables_file.write(supplies, file)
    written = file.stat().st_mtime_ns
    variables_file.write(supplies, file)
    assert yaml.safe_load(file.read_text()) == supplies.variables() == variables_file.read(file)
    assert file.stat().st_mtime_ns == written


def test_missing_variables_file_has_no_variables(tmp_path: Path) -> None:
    assert variables_file.read(tmp_path / "none.yml") == {}


@pytest.mark.parametrize(("checksum", "status"), [("h1:right=", 0), ("h1:wrong=", 1)])
def test_go_module_with_another_checksum_is_refused(tmp_path: Path, checksum: str, status: int) -> None:
    source = tmp_path / "proxy" / "module"
    put(source / "main.go", "package main")
    go = put(
        tmp_path / "bin" / "go", f'#!/bin/sh\nprintf \'{{\\n\\t"Dir": "{source}",\\n\\t"Sum": "h1:right="\\n}}\'\n'
    )
    go.chmod(0o755)
    script = Module("example.com/module", "v1.0.0", checksum).fetch()
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == status
    assert ("is not the pinned one" in ran.stdout) == bool(status)
    assert (tmp_path / "module" / "main.go").exists() == (status == 0)


def test_open_webui_image_is_defined_by_its_role(tmp_path: Path) -> None:
    folder = tmp_path / "roles" / "open_webui" / "files" / "image"
    put(folder / "open-webui.lock", "# why\nopen-webui==0.12.4 \\\n    --hash=sha256:00\n")
    found = open_webui.source(tmp_path)
    assert found.version == "0.12.4"
    put(folder / "Dockerfile", "FROM scratch\n")
    assert open_webui.source(tmp_path).key != found.key


def test_missing_version_of_open_webui_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"open-webui\.lock names no version"):
        open_webui.source(tmp_path)


@pytest.mark.parametrize(("held", "rebuild", "pushed"), [(False, (), True), (True, (), False), (True, ("all",), True)])
def test_rebuilt_base_image_is_pushed_again(tmp_path: Path, held: bool, rebuild: Collection[str], pushed: bool) -> None:
    names: list[str] = []
    registry: Any = SimpleNamespace(holds=lambda _: held, push=lambda *given: names.append(given[1]))
    locations: Any = SimpleNamespace(logs=tmp_path)
    nothing: Any = None
    run = supply._Run(locations, nothing, nothing, nothing, rebuild, Reachable(Sources()))
    assert supply._open_webui_base(run, registry, "ollama-gpu/python:1") == "mirror:5000/python:1"
    assert names == (["python:1"] if pushed else [])
