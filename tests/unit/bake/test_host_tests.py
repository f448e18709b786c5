"""Tests of ollama_gpu.bake.host_tests: a bake runs the tests of its roles and of the roles that these include."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.bake import host_tests
from ollama_gpu.core import collection, paths

ROOT = paths.locate().repository


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Role `a` imports `b` whole, inside a block, and includes some tasks of `c`."""
    roles = {
        "a": (
            "- name: x\n  block:\n    - name: y\n      ansible.builtin.import_role:\n        name: ollama.gpu.b\n"
            "- name: z\n  ansible.builtin.include_role:\n    name: ollama.gpu.c\n    tasks_from: some\n"
        ),
        "b": "- name: x\n  ansible.builtin.import_role:\n    name: ollama.gpu.a\n",
        "c": "",
    }
    for role, text in roles.items():
        (tmp_path / "roles" / role / "tasks").mkdir(parents=True)
        (tmp_path / "roles" / role / "tasks" / "main.yml").write_text(text)
    for name in ("a", "b", "b_without_gpu", "c", "bc"):
        (tmp_path / f"test_{name}.py").write_text("")
    return tmp_path


def names(tree: Path, *roles: str) -> list[str]:
    return [file.name for file in host_tests.select(tree, tree, roles)]


def test_a_role_that_another_role_includes_whole_is_tested_too(tree: Path) -> None:
    assert names(tree, "ollama.gpu.a") == ["test_a.py", "test_b.py", "test_b_without_gpu.py"]


def test_a_role_without_test_files_selects_none(tree: Path) -> None:
    assert names(tree, "ollama.gpu.d") == []


def test_every_host_test_file_belongs_to_a_role_of_the_host() -> None:
    source = collection.source(ROOT)
    text = (source / "playbooks" / "host.yml").read_text()
    roles = [line.split("role: ")[1] for line in text.splitlines() if "- role: " in line]
    tests = ROOT / "tests" / "host"
    assert set(host_tests.select(source, tests, roles)) == set(tests.glob("test_*.py"))
