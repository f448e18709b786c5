"""The example in each role's README is a valid playbook with valid variables."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from reference_docs.roles import roles

REPOSITORY = Path(__file__).resolve().parents[3]
ROLES = {role.name: role for role in roles(REPOSITORY)}
EXAMPLE = re.compile(r"^## Example\n\n```yaml\n(.*?)^```$", re.M | re.S)


def example(role: str) -> str:
    """Return the playbook in a role's README."""
    found = EXAMPLE.findall((ROLES[role] / "README.md").read_text())
    assert len(found) == 1
    return str(found[0])


def uses(play: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the role, the entry point and the variables of each use of a role in a play."""
    for entry in play.get("roles", []):
        yield entry["role"].rpartition(".")[2], "main", entry.get("vars", {})
    for task in play.get("tasks", []):
        included = task["ansible.builtin.include_role"]
        yield included["name"].rpartition(".")[2], included.get("tasks_from", "main"), task.get("vars", {})


def problems(variables: dict[str, Any], entries: dict[str, str]) -> list[str]:
    """Return the errors of variables that set the entry points of these roles. Templates are not checked."""
    given = {name: value for name, value in variables.items() if "{{" not in str(value)}
    found: list[str] = []
    known: set[str] = set()
    for role, entry in entries.items():
        specs = yaml.safe_load((ROLES[role] / "meta" / "argument_specs.yml").read_text())["argument_specs"]
        options = {
            name: {key: value for key, value in option.items() if key != "default"}
            for name, option in specs[entry].get("options", {}).items()
        }
        known |= set(options)
        validator = ArgumentSpecValidator(options)
        found += validator.validate({name: value for name, value in given.items() if name in options}).error_messages
    return found + [f"{name} is not a variable" for name in sorted(set(variables) - known)]


# The role `ollama` runs the role `model_store`, so its example sets variables of both.
WITHIN = {"ollama": {"model_store": "main"}}


@pytest.mark.parametrize("role", ROLES)
def test_example_uses_its_role_with_valid_variables(role: str) -> None:
    plays = yaml.safe_load(example(role))
    used = [use for play in plays for use in uses(play)]
    assert role in {name for name, _, _ in used}
    for name, entry, variables in used:
        assert problems(variables, {name: entry, **WITHIN.get(name, {})}) == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"drain_second": 90}, "drain_second is not a variable"),
        ({"drain_seconds": "soon"}, "drain_seconds"),
        ({"drain_enabled": "perhaps"}, "drain_enabled"),
    ],
)
def test_invalid_variable_is_found(variables: dict[str, Any], message: str) -> None:
    assert any(message in problem for problem in problems(variables, {"drain": "main"}))


def test_invalid_choice_is_found() -> None:
    assert problems({"cuda_component": "all"}, {"cuda": "main"})


@pytest.mark.process
def test_examples_pass_the_syntax_check(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").touch()  # so that no other configuration is used
    playbooks = []
    for role in ROLES:
        playbooks.append(tmp_path / f"{role}.yml")
        playbooks[-1].write_text(example(role))
    command = [Path(sys.executable).with_name("ansible-playbook"), "--syntax-check", "-i", "builder,", *playbooks]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY)}
    checked = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
