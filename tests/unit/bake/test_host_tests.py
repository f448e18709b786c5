"""A bake tests what it converged: each role's file, also of a role that another one runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu import collection, paths
from ollama_gpu.bake import host_tests

ROOT = paths.locate().repository


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Role `a` runs `b` whole, inside a block, and borrows tasks of `c`."""
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


def test_a_role_that_another_runs_whole_is_tested_too(tree: Path) -> None:
    assert names(tree, "ollama.gpu.a") == ["test_a.py", "test_b.py", "test_b_without_gpu.py"]


def test_a_role_without_tests_has_none(tree: Path) -> None:
    assert names(tree, "ollama.gpu.d") == []


def test_every_file_of_tests_is_of_a_role_of_the_host() -> None:
    source = collection.source(ROOT)
    text = (source / "playbooks" / "host.yml").read_text()
    roles = [line.split("role: ")[1] for line in text.splitlines() if "- role: " in line]
    tests = ROOT / "tests" / "host"
    assert set(host_tests.select(source, tests, roles)) == set(tests.glob("test_*.py"))
