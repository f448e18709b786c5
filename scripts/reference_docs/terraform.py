"""Generate the README of every Terraform module, and the reference page of the root module: `make docs`.

In a README, only the part between the markers is generated: the example, and the tables of inputs and outputs. The text
above the markers is written by hand. The reference page also lists the attributes of variables that are objects.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hcl2

from ollama_gpu.core.paths import locate

BEGIN = "<!-- begin generated -->"
END = "<!-- end generated -->"
REFERENCE = Path("docs/reference/terraform.md")
# A root module is not called by other modules. Its example is the `variables` block of a test.
TESTED_VARIABLES = {
    Path("terraform"): Path("terraform/tests/criteria.tftest.hcl"),
    Path("terraform/bootstrap"): Path("terraform/bootstrap/tests/bootstrap.tftest.hcl"),
}


@dataclass(frozen=True)
class Variable:
    """An input. ``default`` is HCL, or None if a value is required."""

    name: str
    type: str
    default: str | None
    description: str


@dataclass(frozen=True)
class Attribute:
    """An attribute of a variable that is an object. ``default`` is HCL, or None if a value is required."""

    path: str
    type: str
    default: str | None
    description: str


def modules(repository: Path) -> list[Path]:
    """Return the repository-relative folder of every module: the root, bootstrap, and terraform/modules/*."""
    inner = sorted(path.relative_to(repository) for path in (repository / "terraform/modules").iterdir())
    return [Path("terraform"), Path("terraform/bootstrap"), *inner]


def pages(repository: Path) -> dict[Path, str]:
    """Return the new content of every generated page by its repository-relative path."""
    found = {module / "README.md": readme(repository, module) for module in modules(repository)}
    return {**found, REFERENCE: reference(repository)}


def readme(repository: Path, module: Path) -> str:
    """Return the README of a module with its generated part renewed. Raises ValueError if the markers are missing."""
    text = (repository / module / "README.md").read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{module}/README.md must contain one {BEGIN!r}, followed by one {END!r}.")
    lines = [
        *["## Example", "", "```hcl", example(repository, module).rstrip(), "```", ""],
        *["## Inputs", "", *_inputs(variables(repository / module)), ""],
        *["## Outputs", "", *_outputs(outputs(repository / module))],
    ]
    return f"{text[: text.index(BEGIN)]}{BEGIN}\n" + "\n".join(lines) + f"\n{text[text.index(END) :]}"


def example(repository: Path, module: Path) -> str:
    """Return the example of a module, which a test of the module plans."""
    if module in TESTED_VARIABLES:
        source = (repository / TESTED_VARIABLES[module]).read_text()
        block = re.search(r"^variables \{\n(.*?)^\}", source, flags=re.MULTILINE | re.DOTALL)
        if block is None:
            raise ValueError(f"{TESTED_VARIABLES[module]} has no block `variables`.")
        return textwrap.dedent(block[1])
    return (repository / module / "examples" / "minimal" / "main.tf").read_text()


def reference(repository: Path) -> str:
    """Return the reference page: variables of the root module with their attributes, and outputs."""
    root = repository / "terraform"
    declared = variables(root)
    lines = [
        "# Terraform variables and outputs",
        "",
        "Set the variables of an environment in `terraform/environments/<env>.tfvars`. Most variables are objects.",
        "Their attributes have tables of their own below. An attribute with a default is optional.",
        "",
        "Generated from `terraform/variables.tf` and `terraform/outputs.tf` by `make docs`.",
        "",
        *["## Variables", "", *_inputs([replace(each, type=_short(each.type)) for each in declared]), ""],
    ]
    for variable in declared:
        if rows := attributes(root / "variables.tf", variable.name):
            lines += [
                f"### Attributes of `{variable.name}`",
                "",
                "| Name | Type | Default | Description |",
                "|---|---|---|---|",
            ]
            lines += [
                _row(f"`{each.path}`", _code(each.type), _default(each.default), _cell(_sentence(each.description)))
                for each in rows
            ]
            lines.append("")
    return "\n".join([*lines, "## Outputs", "", *_outputs(outputs(root))]) + "\n"


def variables(module: Path) -> list[Variable]:
    """Return the inputs of a module, sorted by name."""
    found = []
    for name, block in _blocks(module / "variables.tf", "variable"):
        default = _literal(block["default"]) if "default" in block else None
        found.append(Variable(name, _expression(block["type"]), default, _text(block["description"])))
    return sorted(found, key=lambda each: each.name)


def outputs(module: Path) -> dict[str, str]:
    """Return the descriptions of a module's outputs, sorted by name."""
    found = {name: _text(block["description"]) for name, block in _blocks(module / "outputs.tf", "output")}
    return dict(sorted(found.items()))


def attributes(source: Path, variable: str) -> list[Attribute]:
    """Return the attributes of an object variable, in the order of declaration, with their comments as descriptions.

    This reads the lines of the source, because the parser does not tie a comment to its attribute. The source must be
    formatted with `terraform fmt` and have one attribute per line.
    """
    block = re.search(rf'^variable "{variable}" \{{\n(.*?)^\}}', source.read_text(), flags=re.MULTILINE | re.DOTALL)
    declared = re.search(
        r"^  type\s+= (?P<kind>\S*object\(\{)\n(?P<body>.*?)^  \}", block[1] if block else "", re.M | re.S
    )
    if declared is None:
        return []
    outer = [f"{variable}.<key>" if declared["kind"].startswith("map") else variable]
    opened: list[int] = []  # the indexes in `found` of the objects that the current line is in
    found: list[Attribute] = []
    for line in declared["body"].splitlines():
        code, _, comment = line.strip().partition(" # ")
        name, _, value = (part.strip() for part in code.partition(" = "))
        path = ".".join([*outer, name])
        if value.endswith("({"):
            is_map = "map(" in value
            opened.append(len(found))
            found.append(Attribute(path, "map(object)" if is_map else "object", *_optional(value)[1:], comment))
            outer.append(f"{name}.<key>" if is_map else name)
        elif closing := re.fullmatch(r"\}\)+(?:, (.*)\))?", code):
            outer.pop()
            index = opened.pop()
            found[index] = replace(found[index], default=closing[1] or found[index].default)
        elif value:
            found.append(Attribute(path, *_optional(value), comment))
    return found


def _optional(value: str) -> tuple[str, str | None]:
    """Split `optional(type, default)` into type and default."""
    if not value.startswith("optional("):
        return value, None
    inside, depth = value.removeprefix("optional(").removesuffix(")"), 0
    for index, character in enumerate(inside):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            return inside[:index], inside[index + 1 :].strip()
    return inside, "null"


def _blocks(path: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open() as file:
        for labeled in hcl2.load(file).get(kind, []):
            yield from ((label.strip('"'), block) for label, block in labeled.items())


def _text(value: str) -> str:
    """Return the value of a string literal or heredoc as one line."""
    heredoc = re.fullmatch(r'"<<-?(\w+)\n(.*)\n\s*\1"', value, flags=re.DOTALL)
    text: str = heredoc[2] if heredoc else json.loads(value)
    return " ".join(text.split())


def _expression(value: str) -> str:
    return value.removeprefix("${").removesuffix("}") if value.startswith("${") else value


def _literal(value: Any) -> str:
    """Return a parsed default as HCL. The parser keeps the quotes of a string."""
    if isinstance(value, str):
        return _expression(value)
    if isinstance(value, (list, dict)) and value:
        raise ValueError(f"Only an empty list or map can be a default in a table, not {value}.")
    return json.dumps(value)


def _inputs(declared: list[Variable]) -> list[str]:
    rows = [
        _row(
            f"`{each.name}`",
            _code(each.type),
            _default(each.default),
            "yes" if each.default is None else "no",
            _cell(each.description),
        )
        for each in declared
    ]
    return ["| Name | Type | Default | Required | Description |", "|---|---|---|---|---|", *rows]


def _outputs(declared: dict[str, str]) -> list[str]:
    rows = [_row(f"`{name}`", _cell(description)) for name, description in declared.items()]
    return ["| Name | Description |", "|---|---|", *rows]


def _short(type_: str) -> str:
    """Return a type without the attributes of an object."""
    return re.sub(r"object\(\{.*\}\)", "object", type_)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return "`" + " ".join(text.split()).replace("|", "\\|") + "`"


def _default(default: str | None) -> str:
    return "" if default is None else _code(default)


def _cell(text: str) -> str:
    """Escape pipes, and outside code also angle brackets, which Markdown would read as HTML."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if index % 2 else part.replace("<", "&lt;") for index, part in enumerate(parts))


def _sentence(comment: str) -> str:
    """Return a comment as a sentence. A first word with a digit is a name, such as g4dn, and keeps its case."""
    first = comment.partition(" ")[0]
    return f"{comment if re.search('[0-9_]', first) else comment[:1].upper() + comment[1:]}." if comment else ""


def main() -> int:
    repository = locate().repository
    for path, content in pages(repository).items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
