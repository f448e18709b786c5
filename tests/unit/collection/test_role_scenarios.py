"""`make role`: every role has a scenario with valid variables, which the collection does not ship."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_gpu.core import collection
from reference_docs.roles import roles
from tests.role.__main__ import ROLES, steps

REPOSITORY = Path(__file__).resolve().parents[3]
SCENARIOS = collection.source(REPOSITORY) / "extensions" / "molecule"
CONNECTION = {"ansible_remote_tmp"}  # not a role's variable


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def variables(scenario: str) -> dict[str, Any]:
    provisioner = load(SCENARIOS / scenario / "molecule.yml").get("provisioner", {})
    found: dict[str, Any] = provisioner.get("inventory", {}).get("group_vars", {}).get("all", {})
    return found


def known() -> set[str]:
    """Every variable that a role's user can set, and those that the scenarios' playbooks read."""
    defaults = {name for role in roles(REPOSITORY) for name in load(role / "defaults" / "main.yml") or {}}
    playbooks = "".join(path.read_text() for path in SCENARIOS.glob("*/*.yml") if path.name != "molecule.yml")
    read = set(re.findall(r"{{ (\w+) }}", playbooks))
    shared = set(load(SCENARIOS / "config.yml")["provisioner"]["inventory"]["group_vars"]["all"])
    return defaults | read | shared | CONNECTION


def test_every_role_has_a_scenario() -> None:
    assert [role.name for role in roles(REPOSITORY)] == ROLES


@pytest.mark.parametrize("scenario", ROLES)
def test_scenario_sets_only_variables_that_exist(scenario: str) -> None:
    found = variables(scenario)
    set_by_refusals = {name for refusal in found.get("refusals", []) for name in refusal["set"]}
    internal = {name for name in set_by_refusals if name.startswith("_")}
    assert (set(found) | set_by_refusals) - internal - known() == set()


@pytest.mark.parametrize("scenario", ROLES)
def test_messages_of_refusals_are_in_the_roles(scenario: str) -> None:
    source = collection.source(REPOSITORY)
    files = [*source.glob("roles/*/tasks/*.yml"), source / "plugins/module_utils/gpu_matrix.py"]
    text = " ".join("".join(path.read_text() for path in files).lower().split())
    for refusal in variables(scenario).get("refusals", []):
        assert set(refusal) <= {"set", "message", "then"}
        assert refusal["message"].lower() in text


def test_collection_ships_no_scenario(tmp_path: Path) -> None:
    with tarfile.open(collection.build(REPOSITORY, tmp_path).path) as archive:
        assert [name for name in archive.getnames() if "molecule" in name or name.startswith(".")] == []


@pytest.mark.parametrize("role", ["nosuch", ""])
def test_unknown_role_ends_in_a_sentence_that_lists_the_roles(role: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "tests.role", role], cwd=REPOSITORY, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stdout == ""
    (sentence,) = ran.stderr.splitlines()
    assert all(name in sentence for name in ROLES)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("INFO     [gateway > {}] Executing\n", "INFO     [gateway > {}] Executed: Successful\n"),
        (
            "\x1b[32mgateway\x1b[0m ➜ \x1b[33m{}\x1b[0m: Executing\n",
            "gateway ➜ {}: \x1b[32mExecuted: Successful\x1b[0m\n",
        ),
    ],
    ids=["plain", "coloured"],
)
def test_steps_have_their_seconds(begin: str, end: str) -> None:
    lines = [
        (1.0, begin.format("destroy")), (3.0, end.format("destroy")),
        (3.0, begin.format("converge")), (4.0, "changed: [gateway]\n"), (9.5, end.format("converge")),
        (10.0, begin.format("destroy")), (11.0, end.format("destroy")),
        (11.0, end.format("destroy")), (11.0, end.format("converge")),  # molecule's list at its end
    ]  # fmt: skip
    assert steps(lines) == {"destroy": 3.0, "converge": 6.5}
