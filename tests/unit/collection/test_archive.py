"""The archive that a release ships."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from ollama_gpu.core import collection

REPOSITORY = Path(__file__).resolve().parents[3]


def test_the_same_tree_gives_the_same_archive(tmp_path: Path) -> None:
    first = collection.build(REPOSITORY, tmp_path / "a")
    second = collection.build(REPOSITORY, tmp_path / "b")
    assert first.sha256 == second.sha256
    assert first.path.read_bytes() == second.path.read_bytes()


def test_archive_contains_the_contract_as_a_file(tmp_path: Path) -> None:
    with tarfile.open(collection.build(REPOSITORY, tmp_path).path) as archive:
        assert archive.getmember("contract/instance.yaml").isfile()
        packed = archive.extractfile("contract/instance.yaml")
        assert packed is not None
        assert packed.read() == (REPOSITORY / "contract" / "instance.yaml").read_bytes()


@pytest.mark.process
def test_ansible_galaxy_installs_and_verifies_the_archive(tmp_path: Path) -> None:
    archive = collection.build(REPOSITORY, tmp_path)
    galaxy = [Path(sys.executable).with_name("ansible-galaxy"), "collection"]
    installed = tmp_path / "installed"
    # outside the checkout, whose ansible.cfg points to the sources
    settings = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed)}
    for command in (["install", archive.path, "--collections-path", installed], ["verify", "ollama.gpu"]):
        subprocess.run([*galaxy, command[0], "--offline", *command[1:]], cwd=tmp_path, env=settings, check=True)


@pytest.mark.process
def test_ansible_galaxy_installs_the_collection_from_git(tmp_path: Path) -> None:
    """From a clone, unlike `collection build`, ansible-galaxy keeps links: one out of the collection would dangle."""
    clone, installed = tmp_path / "clone", tmp_path / "installed"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if name.startswith(("ansible_collections/", "contract/")) and (REPOSITORY / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, clone / name, follow_symlinks=False)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message", "tree"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    galaxy = [
        Path(sys.executable).with_name("ansible-galaxy"),
        "collection",
        "install",
        "--collections-path",
        installed,
    ]
    settings = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed)}
    source = f"git+file://{clone}#/ansible_collections/ollama/gpu"
    subprocess.run([*galaxy, source, "--collections-path", installed], cwd=tmp_path, env=settings, check=True)

    collection_folder = installed / "ansible_collections" / "ollama" / "gpu"
    assert [path for path in collection_folder.rglob("*") if not path.exists()] == [], "dangling links"
    contract = collection_folder / "contract" / "instance.yaml"
    assert contract.read_bytes() == (REPOSITORY / "contract" / "instance.yaml").read_bytes()
