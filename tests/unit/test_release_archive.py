"""The tree that is kept with a release: all that a plan reads, nothing of another environment, the same every time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ollama_gpu import environments, release_archive
from ollama_gpu.paths import Paths, locate

ROOT = locate().repository


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release_archive.unpack(release_archive.pack(locate(), "prod"), tmp_path_factory.mktemp("releases"))


def test_the_same_tree_gives_the_same_bytes() -> None:
    assert release_archive.pack(locate(), "prod") == release_archive.pack(locate(), "prod")


def test_every_file_comes_back_as_it_was(unpacked: Path) -> None:
    found = [path for path in unpacked.rglob("*") if path.is_file()]
    assert len(found) > 80
    assert all(path.read_bytes() == (ROOT / path.relative_to(unpacked)).read_bytes() for path in found)


def test_whatever_the_hcl_reads_is_in_it(unpacked: Path) -> None:
    read = []
    for path in unpacked.rglob("*.tf"):
        for name in re.findall(r'(?:file|templatefile)\("\$\{path\.module\}/([^"]+)"', path.read_text()):
            read.append((path.parent / name).resolve())
        for source in re.findall(r'^\s+source\s*=\s*"(\.[^"]+)"', path.read_text(), flags=re.MULTILINE):
            read.append((path.parent / source / "variables.tf").resolve())
    assert len(read) >= 8
    assert [path for path in read if not path.is_file()] == []
    assert (unpacked / "terraform" / ".terraform.lock.hcl").is_file(), "another provider could be chosen"


def test_the_environment_can_be_loaded_from_it_and_no_other_is_there(unpacked: Path) -> None:
    paths = Paths(unpacked, locate().work)
    assert environments.names(paths) == ["prod"]
    assert environments.load(paths, "prod").variables == environments.load(locate(), "prod").variables
