"""Generate docs/reference/verbs.md from the Makefile's `##` texts and the options of `ollama-gpu`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

PAGE = Path("docs/reference/verbs.md")

INTRODUCTION = """\
# Verbs

`make VERB ENV=name` and `ollama-gpu VERB --env name` do the same. `make` first creates `.venv` if it is missing.

- `JSON=1` (`--json`) prints JSON on every verb that reads.
- `YES=1` (`--yes`) applies without asking, unless the plan destroys or replaces data.
  Such a plan needs the environment's name, typed or passed as `CONFIRM=<env>` (`--confirm`).
- Exit statuses: 0 success, 1 failure, 2 wrong arguments, 130 interrupted by Ctrl-C.

## make

| verb | what it does | variables |
|---|---|---|
"""


def pages(repository: Path) -> dict[Path, str]:
    """The page's text by its path in the repository."""
    return {repository / PAGE: page((repository / "Makefile").read_text())}


def page(makefile: str) -> str:
    """The whole page; the commands come from the installed `ollama-gpu`."""
    rows = [
        f"| `{verb}` | {_cell(text)} | {', '.join(f'`{name}`' for name in sorted(variables(makefile, verb)))} |"
        for verb, text in verbs(makefile).items()
    ]
    sections = [line for path, command in commands() for line in _section(path, command)]
    ending = "Generated from the Makefile and the options of `ollama-gpu` by `make docs`."
    return INTRODUCTION + "\n".join([*rows, "", "## ollama-gpu", "", *sections, ending]) + "\n"


def verbs(makefile: str) -> dict[str, str]:
    """The text after `##` by verb, in the Makefile's order."""
    return dict(re.findall(r"^([a-z-]+):.*?## (.*)$", makefile, flags=re.MULTILINE))


def variables(makefile: str, verb: str) -> set[str]:
    """Names of the variables that a user can set for a verb, including those used by other variables."""
    text = makefile.replace("\\\n", " ")
    definitions = dict(re.findall(r"^([A-Z_]+)\s*[?:]?=\s*(.*)$", text, flags=re.MULTILINE))
    defaults = set(re.findall(r"^([A-Z_]+)\s*\?=", text, flags=re.MULTILINE))
    recipes = re.findall(r"^([^\n:=#\t]+):(?!=)[^\n]*\n((?:\t[^\n]*\n?)+)", text, flags=re.MULTILINE)
    pending = _named(" ".join(recipe for targets, recipe in recipes if verb in _expanded(targets, definitions)))
    known: set[str] = set()
    while pending:
        name = pending.pop()
        known.add(name)
        pending |= _named(definitions.get(name, "")) - known
    return {name for name in known if name not in definitions or name in defaults} - {"MAKEFILE_LIST"}


def commands() -> Iterator[tuple[str, Any]]:
    """Each command of `ollama-gpu` with its full name, groups before their members."""
    from ollama_gpu.cli.app import app

    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        if path != "ollama-gpu":
            yield path, command
        for name, member in getattr(command, "commands", {}).items():
            if not member.hidden:
                yield from walk(f"{path} {name}", member)

    yield from walk("ollama-gpu", typer.main.get_command(app))


def _section(path: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    yield f"### {path.removeprefix('ollama-gpu ')}"
    yield ""
    help_text = re.sub(r"[ \t]*\n[ \t]*(?=\S)", " ", (command.help or "").strip())
    for paragraph in help_text.split("\n\n"):
        yield from (_cell(paragraph.strip()), "")
    if getattr(command, "commands", None):
        return
    words = " ".join(_argument(each) for each in arguments)
    yield from ("```text", " ".join(filter(None, [path, words, "[OPTIONS]"])), "```", "")
    if options or any(getattr(each, "help", None) for each in arguments):
        yield "| option | default | meaning |"
        yield "|---|---|---|"
        for each in arguments:
            yield f"| `{each.name.upper()}` | | {_cell(getattr(each, 'help', None) or '')} |"
        for each in options:
            names = " / ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
            yield f"| {names} | {_default(each)} | {_cell(each.help or '')} |"
        yield ""


def _argument(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if option.default in (None, False, (), []):
        return ""
    if option.default is True:
        return f"`{option.opts[0]}`"
    return f"`{option.default}`"


def _cell(text: str) -> str:
    """Text for Markdown: no line break, no column separator, no HTML outside code."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()).replace("|", "\\|"))
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;").replace("[", "\\[").replace("$(", "\\$(")
        for part in parts
    )


def _expanded(targets: str, definitions: dict[str, str]) -> list[str]:
    return re.sub(r"\$\((\w+)\)", lambda name: definitions.get(name[1], ""), targets).split()


def _named(text: str) -> set[str]:
    return set(re.findall(r"\$\(([A-Z][A-Z_]+)\)", text))
