"""A boot skips the tasks tagged `image`, so none of them may depend on the instance, its fabric or its GPUs."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

COLLECTION = Path(__file__).resolve().parents[3] / "ansible_collections" / "ollama" / "gpu"
ROLES = sorted(path.parent for path in COLLECTION.glob("roles/*/tasks"))
HARDWARE = {"processor_vcpus", "memtotal_mb", "mounts", "virtualization_type"}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def flat(entries: list[dict[str, Any]], image: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each task with whether it is tagged `image`, itself or by its block."""
    for entry in entries:
        tagged = image or "image" in entry.get("tags", [])
        yield entry, tagged
        for key in ("block", "rescue", "always"):
            yield from flat(entry.get(key, []), tagged)


@functools.cache
def tasks_of(role: Path) -> list[tuple[dict[str, Any], bool]]:
    return [task for path in sorted((role / "tasks").glob("*.yml")) for task in flat(load(path) or [])]


@functools.cache
def instance_variables() -> set[str]:
    """What the boot play sets, what tasks learn about the hardware, and the settings that the fabric adds."""
    found = {"boot_instance", "boot_store_authorities", *HARDWARE}
    for play in load(COLLECTION / "playbooks" / "boot.yml"):
        for task in play.get("tasks", []):
            found |= set(task.get("ansible.builtin.set_fact", {}))
    for role in ROLES:
        for task, _ in tasks_of(role):
            if "ollama.gpu.gpu_info" in task and "register" in task:
                found.add(task["register"])
    return found - {"ollama_verify", "open_webui_verify", "open_webui_migrate"}  # constants


@functools.cache
def definitions() -> dict[str, str]:
    """The expression of each default, variable and fact, as text."""
    found: dict[str, str] = {}
    for path in [*COLLECTION.glob("roles/*/defaults/main.yml"), *COLLECTION.glob("roles/*/vars/main.yml")]:
        found |= {name: str(value) for name, value in (load(path) or {}).items()}
    for play in load(COLLECTION / "playbooks" / "host.yml"):  # it connects the roles
        found |= {name: str(value) for name, value in play.get("vars", {}).items()}
    for role in ROLES:
        for task, _ in tasks_of(role):
            for name, value in task.get("ansible.builtin.set_fact", {}).items():
                loop = f"{task.get('loop', '')} {task.get('vars', '')}"
                found[name] = f"{found.get(name, '')} {value} {loop} {task.get('when', '')}"
    return found


def text_of(role: Path, task: dict[str, Any]) -> str:
    """The task with the text of its template; descriptions are no dependencies."""
    said = {key: value for key, value in task.items() if key not in ("name", "block", "notify", "register", "tags")}
    template = task.get("ansible.builtin.template", {}).get("src", "")
    sources = [template] if "{{" not in template else [str(each) for each in _items(task)]
    content = ""
    for source in filter(None, sources):
        path = role / "templates" / (source if source.endswith(".j2") else f"{source}.j2")
        content += " ".join(re.findall(r"\{[{%].*?[%}]\}", path.read_text(encoding="utf-8"), re.DOTALL))
    return f"{said} {content}"


def _items(task: dict[str, Any]) -> list[str]:
    return [each["src"] if isinstance(each, dict) else each for each in task["loop"]]


def dependencies(text: str) -> set[str]:
    """Every name that the text uses, directly or through variables."""
    known, seen, waiting = definitions(), set[str](), set(NAME.findall(text))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting |= set(NAME.findall(known.get(name, "")))
    return seen


@pytest.mark.parametrize("role", ROLES, ids=[path.name for path in ROLES])
def test_no_task_tagged_image_depends_on_the_instance(role: Path) -> None:
    instance = instance_variables()
    found = {
        task["name"]: sorted(used)
        for task, image in tasks_of(role)
        if image and (used := dependencies(text_of(role, task)) & instance)
    }
    assert found == {}


@pytest.mark.parametrize("role", ROLES, ids=[path.name for path in ROLES])
def test_no_other_task_uses_what_a_task_tagged_image_registers(role: Path) -> None:
    """It would be undefined at a boot that skips the first task."""
    registered = {task["register"] for task, image in tasks_of(role) if image and "register" in task}
    used: dict[str, list[str]] = {}
    for task, image in tasks_of(role):
        text = str({key: value for key, value in task.items() if key not in ("register", "block")})
        if not image and (names := set(NAME.findall(text)) & registered):
            used[task["name"]] = sorted(names)
    assert used == {}


def test_dependencies_are_found_through_variables_and_templates() -> None:
    role = COLLECTION / "roles" / "ollama"
    unit = next(task for task, _ in tasks_of(role) if task["name"] == "Write the unit")
    assert "__ollama_gpus" in dependencies(text_of(role, unit))
