"""Every command in the documents is run by a test, or checked against the program that would run it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ollama_gpu.cli.app import app
from tests.unit.docs import parsers
from tests.unit.docs.commands import Command, shown
from tests.unit.docs.test_docs import ROOT

RUNS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("runs.yaml").read_text())
NOT_IN_MODELS = {"s3", "sso"}
"""Commands of aws-cli that are not services."""

OF_MAKE = [each for each in shown() if each.program == "make"]
OF_OURS = [each for each in shown() if each.program == "ollama-gpu"]
OF_AWS = [each for each in shown() if each.program == "aws"]
OF_ANSIBLE = [each for each in shown() if each.program == "ansible-playbook"]


def name(command: Command) -> str:
    return command.text


def key(command: Command) -> str | None:
    """The longest prefix of a command that has a line in runs.yaml."""
    words = re.sub(r"=\S*", "", " ".join(command.words[:3])).split()
    beginnings = [" ".join(words[:count]) for count in range(len(words), 0, -1)]
    return next((each for each in beginnings if each in RUNS), None)


def test_documents_show_commands_of_every_kind() -> None:
    assert len(OF_MAKE) > 50
    assert len(OF_OURS) >= 5
    assert len(OF_AWS) >= 10
    assert OF_ANSIBLE
    assert "make plan ENV=prod" in [each.text for each in shown() if each.document in ("README.md", "docs/ci.md")]


@pytest.mark.parametrize("command", shown(), ids=name)
def test_every_command_has_a_test_or_a_reason(command: Command) -> None:
    assert key(command), f"{command.document}: `{command.text}` has no line in tests/unit/docs/runs.yaml"


def test_every_line_of_runs_yaml_is_a_documented_command() -> None:
    assert set(RUNS) - {key(command) for command in shown()} == set()


@pytest.mark.parametrize("begins", [each for each, by in RUNS.items() if isinstance(by, str)])
def test_the_test_of_a_command_exists_and_calls_it(begins: str) -> None:
    file, _, test = RUNS[begins].partition("::")
    text = (ROOT / file).read_text()
    assert re.search(rf"^def {test}\(", text, flags=re.MULTILINE), f"{RUNS[begins]} does not exist"
    around = text + "".join(path.read_text() for path in (ROOT / file).parent.glob("conftest.py"))
    verb = begins.split()[-1]
    assert re.search(rf"[\"']{re.escape(verb)}[\"']|{re.escape(begins)}\b", around), f"{file} never calls {verb}"


@pytest.mark.parametrize("command", OF_MAKE, ids=name)
def test_make_command_uses_variables_and_commands_that_exist(command: Command) -> None:
    verbs = [word for word in command.words[1:] if "=" not in word]
    given = {word.split("=", 1)[0] for word in command.words[1:] if "=" in word}
    assert len(verbs) == 1, command.text
    assert given <= parsers.verb_variables(verbs[0]), f"make {verbs[0]} does not read {given}"
    called = parsers.recipe(command.words)
    for arguments in called:
        assert parsers.parse(arguments).startswith(f"ollama-gpu {verbs[0]}")
    assert called or f"{verbs[0]}:" in parsers.MAKEFILE


@pytest.mark.parametrize("command", OF_OURS, ids=name)
def test_ollama_gpu_command_accepts_its_arguments(command: Command) -> None:
    if "--help" in command.words:
        assert CliRunner().invoke(app, command.words[1:]).exit_code == 0
    elif len(command.words) > 2 or key(command) != "ollama-gpu restore":  # `ollama-gpu restore` names the command only
        assert parsers.parse(command.words[1:]).startswith(f"ollama-gpu {command.words[1]}")


@pytest.mark.parametrize("command", [each for each in OF_AWS if each.words[1] not in NOT_IN_MODELS], ids=name)
def test_aws_command_matches_the_service_model(command: Command) -> None:
    assert parsers.unknown_to_aws(command.words) == []


@pytest.mark.parametrize("command", [each for each in shown() if each.variables], ids=name)
def test_variable_before_a_command_is_read_by_the_code(command: Command) -> None:
    program = [path for folder in ("scripts", "tests") for path in (ROOT / folder).rglob("*.py")]
    text = "".join(path.read_text() for path in program if path.parent != Path(__file__).parent)
    assert [variable for variable in command.variables if f'"{variable}"' not in text] == []


@pytest.mark.process
def test_documented_playbooks_pass_the_syntax_check() -> None:
    plays = set()
    for command in OF_ANSIBLE:
        play = next(word for word in command.words[1:] if word.endswith(".yml") or word.startswith("ollama.gpu."))
        plays.add(f"playbooks/{play}" if play.endswith(".yml") and "/" not in play else play)
    assert {"playbooks/bake-ami.yml", "ollama.gpu.host"} <= plays
    checked = subprocess.run(
        [str(ROOT / ".venv" / "bin" / "ansible-playbook"), "--syntax-check", *sorted(plays), "-e", "env=local"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("command", [each for each in shown() if RUNS.get(key(each) or "") == {"here": True}], ids=name)
def test_commands_without_requirements_run_as_documented(command: Command) -> None:
    calls = parsers.recipe(command.words) if command.program == "make" else [command.words[1:]]
    for arguments in calls:
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 0, ran.output
        assert ran.output


def test_parsers_find_every_kind_of_mistake() -> None:
    """Each kind of mistake that a document could contain."""
    assert parsers.verb_variables("rollback") >= {"TO", "ENV", "JSON", "YES", "CONFIRM"}
    assert "TO" not in parsers.verb_variables("deploy")
    assert parsers.verb_variables("simulate") >= {"USERS", "PICTURE", "MODEL"}
    for arguments in (["deploy", "--sideways"], ["rollback", "x"], ["releases", "diff", "1"], ["fly"]):
        with pytest.raises(Exception, match=r"No such option|valid integer|Missing parameter|No such command"):
            parsers.parse(arguments)
    assert parsers.parse(["releases", "diff", "1", "2", "--env", "prod"]) == "ollama-gpu releases diff"
    assert parsers.parse(["models", "add", "x", "--env", "prod"]) == "ollama-gpu models add"
    assert parsers.unknown_to_aws(["aws", "ec2", "fly", "--id", "1"]) == ["ec2 fly"]
    assert parsers.unknown_to_aws(["aws", "rds", "wait", "database-rested"]) == ["rds database-rested"]
    assert parsers.unknown_to_aws(["aws", "elbv2", "describe-target-health", "--target", "1"]) == [
        "target",
        "target-group-arn",
    ]
