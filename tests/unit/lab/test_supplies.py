"""What is served is pinned, found again in the cache, and handed over by one file."""

from __future__ import annotations

import subprocess
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ollama_gpu.errors import UserError
from ollama_gpu.lab import handover, supply
from ollama_gpu.lab.go_modules import Module
from ollama_gpu.lab.handover import Supplies
from ollama_gpu.lab.supplies import model, ollama, open_webui, toolkit
from ollama_gpu.lab.supplies.open_webui import PushedImage

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
    return Supplies(
        "20.10", "base:1", "data:1", "metadata:1", release, store, repository, PushedImage(f"sha256:{DIGEST}")
    )


def test_an_empty_cache_has_nothing(tmp_path: Path) -> None:
    assert ollama.find(tmp_path) is None
    assert model.find(tmp_path) is None
    assert toolkit.find(tmp_path) is None


def test_the_handover_says_where_a_container_finds_everything_and_its_digests(tmp_path: Path) -> None:
    variables = supplied(tmp_path).variables()
    assert variables["lab_ollama_url"] == "http://mirror/ollama/v0.24.0/ollama-linux-amd64.tar.zst"
    assert variables["lab_ollama_checksum"] == f"sha256:{DIGEST}"
    # the digest of a model is its manifest's, here of `{}`
    empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    digest = f"sha256:{empty}"
    assert variables["lab_models"] == [
        {"name": "gemma3:270m", "digest": digest},
        {"name": "all-minilm:22m", "digest": digest},
    ]
    assert variables["lab_open_webui_image"] == f"mirror:5000/open-webui@sha256:{DIGEST}"
    assert variables["lab_toolkit_key_checksum"] == f"sha256:{empty}"


def test_the_handover_is_yaml_and_is_not_written_twice(tmp_path: Path) -> None:
    supplies, file = supplied(tmp_path), tmp_path / "work" / "supplies.yml"
    handover.write(supplies, file)
    written = file.stat().st_mtime_ns
    handover.write(supplies, file)
    assert yaml.safe_load(file.read_text()) == supplies.variables() == handover.read(file)
    assert file.stat().st_mtime_ns == written


def test_nothing_supplied_reads_as_nothing(tmp_path: Path) -> None:
    assert handover.read(tmp_path / "none.yml") == {}


@pytest.mark.parametrize(("checksum", "status"), [("h1:right=", 0), ("h1:wrong=", 1)])
def test_a_go_module_of_another_content_is_refused(tmp_path: Path, checksum: str, status: int) -> None:
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


def test_the_image_of_open_webui_is_the_roles_own(tmp_path: Path) -> None:
    folder = tmp_path / "roles" / "open_webui" / "files" / "image"
    put(folder / "open-webui.lock", "# why\nopen-webui==0.12.4 \\\n    --hash=sha256:00\n")
    found = open_webui.source(tmp_path)
    assert found.version == "0.12.4"
    put(folder / "Dockerfile", "FROM scratch\n")
    assert open_webui.source(tmp_path).key != found.key


def test_a_collection_without_that_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"open-webui\.lock names no version"):
        open_webui.source(tmp_path)


@pytest.mark.parametrize(("held", "anew", "pushed"), [(False, (), True), (True, (), False), (True, ("all",), True)])
def test_a_base_that_is_made_anew_takes_the_place_of_the_registrys(
    tmp_path: Path, held: bool, anew: Collection[str], pushed: bool
) -> None:
    took: list[str] = []
    registry: Any = SimpleNamespace(holds=lambda _: held, push=lambda *given: took.append(given[1]))
    there: Any = SimpleNamespace(logs=tmp_path)
    nothing: Any = None
    shop = supply._Workshop(there, nothing, nothing, nothing, anew)
    assert supply._open_webui_base(shop, registry, "ollama-gpu/python:1") == "mirror:5000/python:1"
    assert took == (["python:1"] if pushed else [])
