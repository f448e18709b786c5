"""Tests of ollama_gpu.bake.content: each input changes the key; order, time and generated files do not."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from ollama_gpu.bake import content

ROOT = Path(__file__).resolve().parents[3]


def test_the_order_of_the_inputs_does_not_change_the_key() -> None:
    assert content.key({"a": 1, "b": [1, 2]}) == content.key({"b": [1, 2], "a": 1})


def test_every_input_changes_the_key() -> None:
    base = {"collection": {"x": "1"}, "base": "ami-1", "variables": []}
    changed = [{**base, "collection": {"x": "2"}}, {**base, "base": "ami-2"}, {**base, "variables": [{"a": 1}]}]
    keys = {content.key(inputs) for inputs in [base, *changed]}
    assert len(keys) == 4


def test_content_and_executable_bit_change_the_digest_and_time_does_not(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("x")
    before = content.digest_of_files(tmp_path, content.files_of(tmp_path))
    os.utime(file, (1, 1))
    assert content.digest_of_files(tmp_path, content.files_of(tmp_path)) == before
    file.chmod(0o755)
    executable = content.digest_of_files(tmp_path, content.files_of(tmp_path))
    file.write_text("y")
    assert len({str(each) for each in (before, executable, content.digest_of_files(tmp_path, [file]))}) == 3


def test_generated_files_are_not_inputs(tmp_path: Path) -> None:
    for name in ("a.yml", "__pycache__/a.pyc", "tests/output/x", "built.tar.gz", ".ansible/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [path.name for path in content.files_of(tmp_path)] == ["a.yml"]


def test_a_link_counts_as_the_content_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "contract.yaml").write_text("a")
    (tmp_path / "tree" / "contract.yaml").symlink_to("../contract.yaml")
    before = content.digest_of_files(tmp_path / "tree", content.files_of(tmp_path / "tree"))
    (tmp_path / "contract.yaml").write_text("b")
    assert content.digest_of_files(tmp_path / "tree", content.files_of(tmp_path / "tree")) != before


def test_the_host_playbook_has_one_play_with_plain_roles() -> None:
    plays = yaml.safe_load((ROOT / "ansible_collections" / "ollama" / "gpu" / "playbooks" / "host.yml").read_text())
    converging = [play for play in plays if "roles" in play]
    assert len(converging) == 1, "vars/bake.yml reads the roles of the first play"
    assert plays[0] is converging[0]
    assert all(isinstance(each, dict) and set(each) == {"role"} for each in converging[0]["roles"]), (
        "the bake would include a role without the variables given there"
    )
