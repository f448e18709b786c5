"""The files that a contributor finds at the root are present, valid and agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_gpu.core.paths import locate

ROOT = locate().repository
BIN = ROOT / ".venv" / "bin"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOOKS = [
    hook for each in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"] for hook in each["hooks"]
]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize(
    "name",
    ["LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md", ".editorconfig"],
)
def test_file_is_at_the_root(name: str) -> None:
    assert (ROOT / name).read_text().strip()


def test_licence_is_the_one_that_the_collection_declares() -> None:
    galaxy = yaml.safe_load((ROOT / "ansible_collections/ollama/gpu/galaxy.yml").read_text())
    assert galaxy["license"] == ["Apache-2.0"]
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()


def test_changelog_has_the_version_of_the_project() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    assert released[0] == PROJECT["version"]


def test_contributing_names_the_three_loops() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert all(command in text for command in ("make check", "molecule test", "make test"))


def test_workflows_match_the_schema_of_github() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_invalid_workflow_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - usess: actions/checkout@v4\n")
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(bad)]
    assert subprocess.run(command, capture_output=True).returncode == 1


def test_a_workflow_runs_the_ci_script() -> None:
    assert any(".ci/run" in path.read_text() for path in WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_has_least_permissions_and_calls_verbs_that_exist(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert set(workflow["permissions"].values()) <= {"read"} | ({"write"} if path.name == "fabric.yml" else set())
    verbs = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    called = {found for command in commands for found in re.findall(r"^make ([a-z-]+)", command)}
    assert called <= verbs


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hook_runs_a_tool_of_the_checkout_and_downloads_nothing(hook: dict[str, Any]) -> None:
    assert hook["language"] == "system"
    program = hook["entry"].split()[0]
    assert program == "terraform" or (ROOT / program).exists()


def test_base_install_has_no_package_that_only_env_local_needs() -> None:
    local = {re.split(r"[\[<>=]", each)[0] for each in PROJECT["optional-dependencies"]["local"]}
    assert local == {"cryptography", "moto", "trustme"}
    base = {re.split(r"[\[<>=]", each)[0] for each in PROJECT["dependencies"]}
    assert not base & local


def test_lock_has_every_dependency_and_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    extras = PROJECT["optional-dependencies"]
    for each in (*PROJECT["dependencies"], *extras["dev"], *extras["local"]):
        name = re.split(r"[\[<>=]", each)[0].strip()
        assert re.search(rf"^{re.escape(name)}(\[[^\]]+\])?==", lock, flags=re.MULTILINE), name
    assert "://" not in lock
