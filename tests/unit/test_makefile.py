"""The front door: each verb of the README exists and calls the command with the options that were given."""

from __future__ import annotations

import re
import subprocess

import pytest

from ollama_gpu.paths import locate

ROOT = locate().repository
VERBS = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
READS = [
    *("doctor", "preflight", "plan", "outputs", "status", "env", "bootstrap", "verify", "administrator", "releases"),
    *("logs", "events", "cost", "capacity", "simulate"),
]
# Those that read by default, under a word of their own.
LISTS = {"rollout": "status", "state": "list", "models": "list"}


def recipe(*arguments: str) -> str:
    """What make would run, without running it."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_readme_lists_every_verb_of_the_command() -> None:
    from ollama_gpu.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert commands - {"exports"} <= set(VERBS)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("help", "setup")])
def test_every_verb_of_the_readme_has_a_recipe(verb: str) -> None:
    if verb in ("test", "requirements", "bench", "gpu", "gpu-figures", "soak", "rehearse"):
        assert "-m tests." in recipe(verb)
    elif verb == "docs":
        assert "-m ollama_gpu.role_readmes" in recipe(verb)
    else:
        assert f"ollama-gpu {verb}" in recipe(verb)


@pytest.mark.parametrize("verb", READS)
def test_every_verb_that_reads_takes_the_environment_and_json(verb: str) -> None:
    assert f"ollama-gpu {verb} --env prod --json" in recipe(verb, "ENV=prod", "JSON=1")
    assert "--json" not in recipe(verb, "JSON=0")


@pytest.mark.parametrize(("verb", "word"), LISTS.items())
def test_a_group_of_verbs_lists_unless_told_otherwise_and_as_json_too(verb: str, word: str) -> None:
    assert f"ollama-gpu {verb} {word} --json --env prod" in " ".join(recipe(verb, "ENV=prod", "JSON=1").split())


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("help", "setup")])
def test_every_verb_makes_what_is_missing_first(verb: str) -> None:
    assert recipe(verb).splitlines()[0].endswith("scripts/setup.py")


def test_deploy_and_destroy_take_what_they_need() -> None:
    deploy = recipe("deploy", "ENV=dev", "YES=1", "CONFIRM=dev", "LAB=off", "JSON=1")
    assert all(option in deploy for option in ("--env dev", "--yes", "--confirm dev", "--no-lab", "--json"))
    assert "--confirm dev" in recipe("destroy", "ENV=dev", "CONFIRM=dev")
    assert "--env dev 6a3e" in recipe("unlock", "ENV=dev", "LOCK=6a3e")


def test_help_lists_every_verb() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {verb} " in shown for verb in VERBS)


def test_ci_runs_exactly_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script
    assert "make test" in (ROOT / "README.md").read_text()
