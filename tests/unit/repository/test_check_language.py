"""The language check finds every phrase of its list and accepts plain text and code."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ollama_gpu.core.paths import locate

ROOT = locate().repository
PROGRAM = ROOT / "scripts" / "check_language.py"

REFUSED = (
    "The alarm rings.",
    "One that rang yesterday.",
    "which alarms ring",
    "waited in vain for the cache",
    "The rollout was turned round.",
    "it turns the rollout round",
    "Its rollout was taken back.",
    "Take it back with `make rollout`.",
    "until the service is well again",
    "The index is made anew.",
    "'5x' is no time span.",
    "latest is no digest",
    "is no valid duration",
    "A letter about an event",
    "The month becomes dearer.",
    "for whoever waits",
    "Nobody notices.",
    "held by somebody else",
    "That is the truth.",
    "the names thereof",
    "It is refused, for it is too large.",
    "RollbackSuccessful leads back to it",
    "has gone through",
    "What lies in the bucket",
    "wherever the model lies wholly on the GPU",
    "It stands in the state.",
    "things to put right",
    "loads its models for good",
    "ends in good order",
    "Mend the cause.",
    "waited in\n# vain",
)
ACCEPTED = (
    "a ring buffer of the last lines",
    "a string, bringing wings",
    "the user can bring a spring",
    "turn around; round(x); a round number; turn off the round trip",
    "a letter or a digit; the letter a",
    "back up and take a backup back-end",
    "for it to start; for good reasons; wait for them",
    "a stand-in the size of a page; stands in the way",
    "recommend an amendment",
    "there is no name; this is no longer valid",
    "option --anew; the key alarms.ringing; $anew",
    "believe in it; it relies in part on",
)


@pytest.fixture(scope="module")
def language() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_language", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", REFUSED)
def test_phrase_is_refused_with_a_replacement(language: ModuleType, text: str) -> None:
    found = language.check("page.md", text)
    assert len(found) == 1, found
    assert found[0].instead


@pytest.mark.parametrize("text", ACCEPTED)
def test_plain_text_is_accepted(language: ModuleType, text: str) -> None:
    assert language.check("page.md", text) == []


def test_every_rule_has_an_example(language: ModuleType) -> None:
    unused = [rule for rule, (pattern, _) in zip(language.RULES, language.PATTERNS, strict=True)
              if not any(pattern.search(text) for text in REFUSED)]  # fmt: skip
    assert unused == []


def test_python_is_judged_by_comments_and_strings_only(language: ModuleType) -> None:
    code = (
        "def build(anew: bool) -> None:  # made anew\n"
        '    """Somebody\n'
        '    asks."""\n'
        "    nobody = anew\n"
        '    call("whoever")\n'
    )
    assert [(each.line, each.phrase) for each in language.check("code.py", code)] == [
        (1, "anew"),
        (2, "Somebody"),
        (5, "whoever"),
    ]


def test_line_and_replacement_are_printed_and_the_exit_status_is_1(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("fine\nThe alarm rings.\nThe bell rings. <!-- language: allow\n")
    ran = subprocess.run([sys.executable, str(PROGRAM), str(page)], capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[0] == f'{page}:2: "rings": write fires, or: is in ALARM'
    page.write_text("fine\n")
    assert subprocess.run([sys.executable, str(PROGRAM), str(page)]).returncode == 0


def test_text_files_and_role_programs_are_read_but_no_locks(language: ModuleType) -> None:
    read = (
        "README.md",
        "Makefile",
        "a/b.tf",
        "roles/drain/files/ollama-gpu-drain",
        "x.yml.j2",
        ".github/workflows/ci.yml",
    )
    assert all(language.is_text(name) for name in read)
    assert not any(language.is_text(name) for name in ("requirements.lock", "docs/images/chat.png", "LICENSE"))
