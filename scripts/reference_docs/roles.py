"""Generate the reference pages of the roles from their argument specs, defaults and examples.

`pages` returns a README for every role and one page of all roles for the documentation. A role's example is in its
`example.yml`. The default of a number can be a template only in defaults/main.yml, because an argument spec accepts
only a number there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.core.collection import source
from ollama_gpu.core.paths import locate

INDEX = Path("docs/reference/roles.md")
GENERATED = "Generated from `meta/argument_specs.yml`, `defaults/main.yml` and `example.yml` by `make docs`."


def roles(repository: Path) -> list[Path]:
    """Return the folders of all roles, sorted by name."""
    return sorted(path for path in (source(repository) / "roles").iterdir() if (path / "tasks").is_dir())


def pages(repository: Path) -> dict[Path, str]:
    """Return the content of every generated page by its path in the repository."""
    found = roles(repository)
    readmes = {(role / "README.md").relative_to(repository): readme(role) for role in found}
    return {**readmes, INDEX: index(found)}


def readme(role: Path) -> str:
    """Return the content of a role's README.md."""
    lines = [f"# ollama.gpu.{role.name}", "", _summary(role), "", *_entry_points(role, "##")]
    lines += ["## Example", "", "```yaml", (role / "example.yml").read_text().rstrip("\n"), "```", "", GENERATED]
    return "\n".join(lines) + "\n"


def index(found: list[Path]) -> str:
    """Return the page of all roles: a table of them, then the variables of each."""
    lines = ["# Roles", "", "The roles of the collection `ollama.gpu`, with their variables and defaults.", ""]
    lines += ["| role | purpose |", "|---|---|"]
    lines += [f"| [{role.name}](#{role.name}) | {_summary(role)} |" for role in found]
    for role in found:
        lines += ["", f"## {role.name}", "", _summary(role), "", *_entry_points(role, "###")]
        del lines[-1]  # the empty line after the last table
    return "\n".join([*lines, "", "Generated from the roles' argument specs by `make docs`."]) + "\n"


def _summary(role: Path) -> str:
    summary: str = yaml.safe_load((role / "meta" / "main.yml").read_text())["galaxy_info"]["description"]
    return f"{summary.rstrip('.')}."


def _entry_points(role: Path, heading: str) -> list[str]:
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    defaults = _defaults(role)
    lines: list[str] = []
    for entry, spec in specs.items():
        if entry != "main":
            name = f"Entry point `{entry}`" if heading == "##" else f"{role.name}, entry point `{entry}`"
            lines += [f"{heading} {name}", "", f"{_plain(spec['short_description']).rstrip('.')}.", ""]
        lines += [line for text in _texts(spec.get("description")) for line in (_plain(text), "")]
        if spec.get("options"):
            lines += ["| variable | type | default | meaning |", "|---|---|---|---|"]
            lines += [_row(name, option, defaults.get(name)) for name, option in sorted(spec["options"].items())]
            lines.append("")
    return lines


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
    """Convert Ansible's markup, such as C(...), to Markdown."""
    return re.sub(r"\b[CVOIBEM]\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", text).replace("|", "\\|").strip()


def main() -> int:
    """Write all pages."""
    repository = locate().repository
    for path, text in pages(repository).items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
