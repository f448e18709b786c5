"""The archive that a release ships."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from ollama_gpu import collection

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_same_tree_gives_the_same_archive(tmp_path: Path) -> None:
    first = collection.build(REPOSITORY, tmp_path / "a")
    second = collection.build(REPOSITORY, tmp_path / "b")
    assert first.sha256 == second.sha256
    assert first.path.read_bytes() == second.path.read_bytes()


def test_the_contract_travels_as_a_file_and_not_as_a_link_out_of_the_archive(tmp_path: Path) -> None:
    with tarfile.open(collection.build(REPOSITORY, tmp_path).path) as archive:
        assert archive.getmember("contract/instance.yaml").isfile()
        packed = archive.extractfile("contract/instance.yaml")
        assert packed is not None
        assert packed.read() == (REPOSITORY / "contract" / "instance.yaml").read_bytes()


def test_ansible_galaxy_installs_it_and_finds_every_file_as_the_manifest_has_it(tmp_path: Path) -> None:
    archive = collection.build(REPOSITORY, tmp_path)
    galaxy = [Path(sys.executable).with_name("ansible-galaxy"), "collection"]
    installed = tmp_path / "installed"
    # away from the checkout, whose ansible.cfg leads to the sources
    settings = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed)}
    for command in (["install", archive.path, "--collections-path", installed], ["verify", "ollama.gpu"]):
        subprocess.run([*galaxy, command[0], "--offline", *command[1:]], cwd=tmp_path, env=settings, check=True)
