"""Tests of the image manifest: it lists what is installed, with null for what is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.unit.collection.programs import load


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH, empty, for programs that a test writes."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(folder: Path, name: str, prints: str, status: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n/bin/cat <<'X'\n{prints}\nX\nexit {status}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "key", "prints", "version"),
    [
        ("dockerd", "docker", "Docker version 20.10.24+dfsg1, build 297e128", "20.10.24+dfsg1"),
        (
            "haproxy",
            "haproxy",
            "HAProxy version 2.6.12-1+deb12u3 2025/10/03",
            "2.6.12-1+deb12u3",
        ),
        ("nvidia-ctk", "container_toolkit", "NVIDIA Container Toolkit CLI version 1.20.1", "1.20.1"),
        (
            "ollama",
            "ollama",
            "Warning: could not connect to a running Ollama instance\nWarning: client version is 0.24.0",
            "0.24.0",
        ),
        ("ansible", "ansible_core", "ansible [core 2.14.18]\n  config file = None", "2.14.18"),
    ],
)
def test_the_version_is_read_from_the_programs_output(
    programs: Path, name: str, key: str, prints: str, version: str
) -> None:
    program(programs, name, prints)
    assert load("image_seal", "manifest").versions()[key] == version


def test_a_missing_program_has_no_version(programs: Path) -> None:
    found = load("image_seal", "manifest").versions()
    assert {found[name] for name in ("docker", "ollama", "haproxy", "nvidia_driver", "container_toolkit")} == {None}


def test_container_images_are_listed_by_digest(programs: Path) -> None:
    rows = [
        {"Repository": "r/owui", "Tag": "<none>", "Digest": "sha256:ab", "ID": "sha256:01"},
        {"Repository": "local", "Tag": "1", "Digest": "<none>", "ID": "sha256:02"},
    ]
    program(programs, "docker", "\n".join(map(json.dumps, rows)))
    found = load("image_seal", "manifest").container_images()
    assert found == {"r/owui@sha256:ab": "sha256:01", "local:1": "sha256:02"}


def test_known_container_images_are_kept_while_the_engine_is_stopped(
    programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(programs, "docker", "Cannot connect", status=1)
    (tmp_path / "image.json").write_text(json.dumps({"container_images": {"a": "b"}}))
    load("image_seal", "manifest").main(["--existing", str(tmp_path / "image.json")])
    assert json.loads(capsys.readouterr().out)["container_images"] == {"a": "b"}


def test_removed_packages_with_configuration_files_are_not_listed(programs: Path) -> None:
    program(programs, "dpkg-query", "haproxy 2.6.12-1 ii \nold:amd64 1.0 rc \nheld 2.0 hi ")
    assert load("image_seal", "manifest").packages() == {"haproxy": "2.6.12-1", "held": "2.0"}


def test_models_are_listed_with_the_digests_of_their_manifests(tmp_path: Path) -> None:
    path = tmp_path / "manifests" / "registry.ollama.ai" / "library" / "gemma3" / "270m"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    assert load("image_seal", "manifest").models(tmp_path) == {"gemma3:270m": f"sha256:{digest}"}
