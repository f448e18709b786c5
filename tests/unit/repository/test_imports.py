"""Packages of `scripts/ollama_gpu` import only from levels below their own, and its modules have no import cycle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "scripts" / "ollama_gpu"

HEAVY = {"moto", "flask", "cryptography", "trustme"}

LEVELS = (
    {"cli"},
    {"deploy", "doctor"},
    {"backup", "bake", "rollout"},
    {"fabric", "local", "observe"},
    {"planning", "releases"},
    {"models"},
    {"environment"},
    {"catalogue", "terraform"},
    {"core"},
)
"""The packages from top to bottom. A package imports from lower levels, never from its own level or a higher one."""


def imports(file: Path, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every import of ``package`` in a file, those inside functions included."""
    parents = [package, *file.parent.relative_to(PACKAGE).parts] if file.is_relative_to(PACKAGE) else [package]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.startswith(f"{package}."))
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            if module == package or module.startswith(f"{package}."):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def upward(root: Path) -> list[str]:
    """Imports that do not go down, as ``file:line: from -> to``."""
    level = {package: number for number, packages in enumerate(LEVELS) for package in packages}
    found = []
    for file in sorted(root.rglob("*.py")):
        here = file.relative_to(root).parts[0]
        for line, name in imports(file, "ollama_gpu"):
            there = name.split(".")[1]
            if here != there and level.get(here, -1) >= level.get(there, -1):
                found.append(f"{file.relative_to(root)}:{line}: {here} -> {there}")
    return found


def test_every_package_has_a_level() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set().union(*LEVELS)
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]


def test_imports_go_down() -> None:
    assert upward(PACKAGE) == []


@pytest.mark.parametrize(
    "source",
    [
        "from ollama_gpu.deploy import steps",
        "from ollama_gpu.deploy.steps import deploy",
        "import ollama_gpu.cli.app",
        "from ollama_gpu import deploy",
        "from ..deploy import steps",
        "def verb() -> None:\n    from ollama_gpu.cli.app import app",
        "if TYPE_CHECKING:\n    from ollama_gpu.environment.context import Context",
    ],
)
def test_upward_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    file = tmp_path / "core" / "example.py"
    file.parent.mkdir()
    file.write_text(source)
    assert len(upward(tmp_path)) == 1


def dependencies(root: Path) -> dict[str, list[str]]:
    """The modules of a package that each of its modules imports at module level, under TYPE_CHECKING included."""
    files = {".".join(module_name(file, root)): file for file in sorted(root.rglob("*.py"))}
    found = {}
    for name, file in files.items():
        package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
        imported = (module for module in imported_names(file, package) if module != name)
        found[name] = sorted({module if module in files else module.rpartition(".")[0] for module in imported})
        found[name] = [module for module in found[name] if module in files and module != name]
    return found


def module_name(file: Path, root: Path) -> list[str]:
    parts = [root.name, *file.relative_to(root).with_suffix("").parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


def imported_names(file: Path, package: list[str]) -> Iterator[str]:
    """Absolute names of all imports outside functions, ``from`` imports with the imported name."""
    nodes: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes.extend(ast.iter_child_nodes(node))


def cycle(graph: dict[str, list[str]]) -> list[str]:
    """One import cycle, from a module back to itself; empty if there is none."""
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in finished:
            return []
        for imported in graph[module]:
            if found := visit(imported, [*path, module]):
                return found
        finished.add(module)
        return []

    return next((found for module in graph if (found := visit(module, []))), [])


def test_modules_have_no_import_cycle() -> None:
    assert cycle(dependencies(PACKAGE)) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from . import second", ["package.first", "package.second", "package.first"]),
        ("if TYPE_CHECKING:\n    from .second import Second", ["package.first", "package.second", "package.first"]),
        ("import package.second", ["package.first", "package.second", "package.first"]),
        ("def later() -> None:\n    from . import second", []),
    ],
)
def test_import_cycle_is_found(tmp_path: Path, source: str, expected: list[str]) -> None:
    root = tmp_path / "package"
    root.mkdir()
    (root / "__init__.py").write_text("from .first import thing")
    (root / "first.py").write_text(source)
    (root / "second.py").write_text("from package.first import thing")
    assert cycle(dependencies(root)) == expected


@pytest.mark.parametrize("verb", [["--help"], ["capacity"], ["simulate", "--users", "100"], ["cost"]])
def test_planning_verbs_load_no_library_of_the_local_environment(verb: list[str]) -> None:
    program = (
        "import sys\n"
        "from ollama_gpu.cli.app import app\n"
        f"try:\n    app({verb!r})\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code, ended.code\n"
        f"heavy = sorted({{name.partition('.')[0] for name in sys.modules}} & {HEAVY!r})\n"
        "print('loaded:', *heavy)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.rstrip().endswith("loaded:")
