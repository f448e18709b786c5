"""Generated pages on disk are current, and the generator reads the Makefile correctly."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.paths import locate
from reference_docs import verbs
from reference_docs.__main__ import pages

ROOT = locate().repository
PAGES = pages(ROOT)
MAKEFILE = """\
ENV ?= local
WORDS = --env $(ENV) $(if $(USERS),--users $(USERS))
read: setup ## list things (USERS=3)
\t@run $(WORDS)
a: ## first
b: ## second
READS = a b
$(READS): setup
\t@run $@ $(filter-out 0,$(JSON)) \\
\t  $(ONLY)
"""


@pytest.mark.parametrize("path", sorted(PAGES), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_is_current(path: Path) -> None:
    assert path.exists(), "run `make docs`"
    assert path.read_text() == PAGES[path], "run `make docs`"


def test_verbs_and_their_variables_are_read_from_the_makefile() -> None:
    assert verbs.verbs(MAKEFILE) == {"read": "list things (USERS=3)", "a": "first", "b": "second"}
    assert verbs.variables(MAKEFILE, "read") == {"ENV", "USERS"}
    assert verbs.variables(MAKEFILE, "b") == {"JSON", "ONLY"}


def test_every_command_and_option_is_on_the_page() -> None:
    text = PAGES[ROOT / verbs.PAGE]
    for path, command in verbs.commands():
        assert f"\n### {path.removeprefix('ollama-gpu ')}\n" in text
        for option in command.params:
            if option.param_type_name == "option" and option.name != "help" and not hasattr(command, "commands"):
                assert f"`{option.opts[0]}`" in text
