"""The README of every role, generated from its argument specs and its defaults: `make docs`.

A role's specs are its documentation; this only lays them out for people who read on a forge. A computed default, such
as a number from a template, stands in defaults/main.yml alone: a spec may hold a number there and no text.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.collection import source
from ollama_gpu.paths import locate


def roles(repository: Path) -> list[Path]:
    return sorted(path for path in (source(repository) / "roles").iterdir() if (path / "tasks").is_dir())


def readme(role: Path) -> str:
    """The text of a role's README.md."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    summary = yaml.safe_load((role / "meta" / "main.yml").read_text())["galaxy_info"]["description"]
    defaults = _defaults(role)
    lines = [f"# ollama.gpu.{role.name}", "", f"{summary.rstrip('.')}.", ""]
    for entry, spec in specs.items():
        if entry != "main":
            lines += [f"## Entry point `{entry}`", "", f"{_plain(spec['short_description']).rstrip('.')}.", ""]
        lines += [line for text in _texts(spec.get("description")) for line in (_plain(text), "")]
        if spec.get("options"):
            lines += ["| variable | type | default | meaning |", "|---|---|---|---|"]
            lines += [_row(name, option, defaults.get(name)) for name, option in sorted(spec["options"].items())]
            lines.append("")
    lines.append("Generated from `meta/argument_specs.yml` and `defaults/main.yml` by `make docs`.")
    return "\n".join(lines) + "\n"


def _defaults(role: Path) -> dict[str, Any]:
    path = role / "defaults" / "main.yml"
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def _row(name: str, option: dict[str, Any], computed: Any) -> str:
    kind = str(option.get("type", "str"))
    if option.get("elements"):
        kind += f" of {option['elements']}"
    default = "required" if option.get("required") else f"`{_value(option.get('default', computed))}`"
    meaning = " ".join(_plain(text) for text in _texts(option.get("description")))
    if option.get("choices"):
        meaning += " One of " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
    return f"| `{name}` | {kind} | {default} | {meaning} |".replace("\n", " ")


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000).replace("\n...", "").strip()
    return text.replace("|", "\\|")


def _texts(description: str | list[str] | None) -> list[str]:
    return [description] if isinstance(description, str) else list(description or [])


def _plain(text: str) -> str:
    """Ansible's C(...) and the like as Markdown."""
    return re.sub(r"\b[CVOIBEM]\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", text).replace("|", "\\|").strip()


def main() -> int:
    for role in roles(locate().repository):
        (role / "README.md").write_text(readme(role))
    return 0


if __name__ == "__main__":
    sys.exit(main())
