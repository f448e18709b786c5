"""Every verb of the Makefile calls the command with the given options and is in the generated reference."""

from __future__ import annotations

import re
import subprocess

import pytest

from ollama_gpu.core.paths import locate

ROOT = locate().repository
VERBS = re.findall(r"^\| `([a-z][a-z-]*)` \|", (ROOT / "docs/reference/verbs.md").read_text(), flags=re.MULTILINE)
WITHOUT_SETUP = ("help", "setup", "lock")
READS = [
    *("doctor", "preflight", "plan", "outputs", "status", "env", "bootstrap", "verify", "administrator", "releases"),
    *("logs", "events", "cost", "capacity", "simulate"),
]
# Groups whose default subcommand reads.
LISTS = {"rollout": "status", "state": "list", "models": "list"}


def recipe(*arguments: str) -> str:
    """The commands that make would run."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_reference_lists_every_verb_of_the_command() -> None:
    from ollama_gpu.cli.app import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert commands <= set(VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in WITHOUT_SETUP])
def test_every_verb_has_a_recipe(verb: str) -> None:
    if verb in ("check", "role", "test", "faults", "requirements", "gpu"):
        assert "-m tests." in recipe(verb)
    elif verb in ("bench", "gpu-figures", "soak", "rehearse"):
        assert "-m bench" in recipe(verb)
    elif verb == "docs":
        assert recipe(verb).endswith("-m reference_docs\n")
    elif verb == "site":
        assert "mkdocs build --strict" in recipe(verb)
    else:
        assert f"ollama-gpu {verb}" in recipe(verb)


@pytest.mark.parametrize("verb", READS)
def test_reading_verbs_take_environment_and_json(verb: str) -> None:
    assert f"ollama-gpu {verb} --env prod --json" in recipe(verb, "ENV=prod", "JSON=1")
    assert "--json" not in recipe(verb, "JSON=0")


@pytest.mark.parametrize(("verb", "word"), LISTS.items())
def test_groups_list_by_default_and_as_json(verb: str, word: str) -> None:
    assert f"ollama-gpu {verb} {word} --json --env prod" in " ".join(recipe(verb, "ENV=prod", "JSON=1").split())


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in WITHOUT_SETUP])
def test_every_verb_runs_setup_first(verb: str) -> None:
    assert recipe(verb).splitlines()[0].endswith("scripts/setup.py")


def test_deploy_and_destroy_pass_their_options() -> None:
    deploy = recipe("deploy", "ENV=dev", "YES=1", "CONFIRM=dev", "LAB=off", "JSON=1")
    assert all(option in deploy for option in ("--env dev", "--yes", "--confirm dev", "--no-lab", "--json"))
    assert "--confirm dev" in recipe("destroy", "ENV=dev", "CONFIRM=dev")
    assert "--env dev 6a3e" in recipe("unlock", "ENV=dev", "LOCK=6a3e")


def test_help_lists_every_verb() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {verb} " in shown for verb in VERBS)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script
    assert "make test" in (ROOT / "README.md").read_text()


def test_check_takes_a_revision() -> None:
    assert recipe("check").splitlines()[-1].endswith("-m tests.check ")
    assert recipe("check", "SINCE=main").splitlines()[-1].endswith("-m tests.check --since main")
