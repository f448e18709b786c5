"""The archive of a release: complete, reproducible, and without files of other environments."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import settings
from ollama_gpu.releases import archive

ROOT = locate().repository


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive.unpack(archive.pack(locate(), "prod"), tmp_path_factory.mktemp("releases"))


def test_archive_is_reproducible() -> None:
    assert archive.pack(locate(), "prod") == archive.pack(locate(), "prod")


def test_files_are_unpacked_unchanged(unpacked: Path) -> None:
    found = [path for path in unpacked.rglob("*") if path.is_file()]
    assert len(found) > 80
    assert all(path.read_bytes() == (ROOT / path.relative_to(unpacked)).read_bytes() for path in found)


def test_archive_has_every_file_that_terraform_reads(unpacked: Path) -> None:
    read = []
    for path in unpacked.rglob("*.tf"):
        for name in re.findall(r'(?:file|templatefile)\("\$\{path\.module\}/([^"]+)"', path.read_text()):
            read.append((path.parent / name).resolve())
        for source in re.findall(r'^\s+source\s*=\s*"(\.[^"]+)"', path.read_text(), flags=re.MULTILINE):
            read.append((path.parent / source / "variables.tf").resolve())
    assert len(read) >= 8
    assert [path for path in read if not path.is_file()] == []
    assert (unpacked / "terraform" / ".terraform.lock.hcl").is_file(), (
        "without the lock file, Terraform could select another provider version"
    )


def test_archive_has_only_its_environment(unpacked: Path) -> None:
    paths = Paths(unpacked, locate().work)
    assert settings.names(paths) == ["prod"]
    assert settings.load(paths, "prod").variables == settings.load(locate(), "prod").variables
