"""All roles have the same structure, match their argument specs, and support every system."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reference_docs.roles import pages, roles

REPOSITORY = Path(__file__).resolve().parents[3]
ROLES = roles(REPOSITORY)
PAGES = pages(REPOSITORY)
SYSTEMS = {"debian-12", "ubuntu-22.04", "ubuntu-24.04", "amazon-2023"}
STAGES = ["preflight", "install", "configure", "service", "verify"]
NAMES = {
    "nvidia_driver", "cuda", "container_toolkit", "docker", "ollama", "open_webui", "gateway", "model_store",
    "cloudwatch_agent", "gpu_metrics", "model_set", "boot", "drain", "image_seal", "common",
}  # fmt: skip


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else None


def tasks(role: Path) -> list[dict[str, Any]]:
    """Return every task of a role, including those in blocks."""

    def flat(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        inner = [entry.get(key, []) for entry in entries for key in ("block", "rescue", "always")]
        return entries + [task for block in inner for task in flat(block)]

    return [task for path in sorted((role / "tasks").glob("*.yml")) for task in flat(load(path) or [])]


def computed(option: dict[str, Any], default: Any) -> bool:
    """Return whether a number's default is a template, which Ansible's tools reject in argument specs."""
    numbers = {option.get("type"), option.get("elements")} & {"int", "float"}
    values = default if isinstance(default, list) else [default]
    return bool(numbers) and any(isinstance(value, str) and "{{" in value for value in values)


def test_collection_has_exactly_the_designed_roles() -> None:
    assert {role.name for role in ROLES} == NAMES


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
class TestEveryRole:
    def test_argument_specs_match_the_defaults(self, role: Path) -> None:
        options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
        optional = {name: option for name, option in options.items() if not option.get("required")}
        defaults = load(role / "defaults" / "main.yml") or {}
        assert set(optional) == set(defaults)
        unspecified = {name for name, option in optional.items() if computed(option, defaults[name])}
        specified = {name: option["default"] for name, option in optional.items() if "default" in option}
        assert specified == {name: value for name, value in defaults.items() if name not in unspecified}

    def test_its_specs_describe_every_option_with_a_type(self, role: Path) -> None:
        for entry in load(role / "meta" / "argument_specs.yml")["argument_specs"].values():
            for name, option in entry.get("options", {}).items():
                assert option.get("description"), f"{name} has no description"
                assert option.get("type"), f"{name} has no type"

    def test_defaults_pass_the_argument_specs(self, role: Path) -> None:
        for name, option in load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"].items():
            if option.get("type") == "dict" and "default" in option:
                needed = {key for key, inner in option.get("options", {}).items() if inner.get("required")}
                assert needed <= set(option["default"]), f"{name}: Ansible rejects a run that does not set it"

    def test_variables_have_the_roles_prefix(self, role: Path) -> None:
        for name in load(role / "defaults" / "main.yml") or {}:
            assert name.startswith(f"{role.name}_")
        for path in (role / "vars").glob("*.yml"):
            assert all(name.startswith(f"_{role.name}_") for name in load(path) or {}), path.name

    def test_main_imports_only_the_stages_in_order(self, role: Path) -> None:
        if role.name == "common":
            pytest.skip("internal: it has no stages")
        found = []
        for task in load(role / "tasks" / "main.yml"):
            if "ansible.builtin.include_vars" in task:
                continue
            stage = task["ansible.builtin.import_tasks"].removesuffix(".yml")
            assert set(task["tags"]) >= {f"{role.name}_{stage}", stage}
            found.append(stage)
        assert found == [stage for stage in STAGES if stage in found]
        assert set(found) == {path.stem for path in (role / "tasks").glob("*.yml")} & set(STAGES)

    def test_role_supports_every_system_or_needs_no_variables_per_system(self, role: Path) -> None:
        files = {path.stem: set(load(path) or {}) for path in (role / "vars").glob("*.yml") if path.stem != "main"}
        known = {name: keys for name, keys in files.items() if name in SYSTEMS}
        if known:
            assert set(known) == SYSTEMS
            assert len({frozenset(keys) for keys in known.values()}) == 1, known

    def test_every_handler_that_is_notified_exists(self, role: Path) -> None:
        handlers = {entry["name"] for entry in load(role / "handlers" / "main.yml") or []}
        notified = set()
        for task in tasks(role):
            notify = task.get("notify", [])
            notified |= {notify} if isinstance(notify, str) else set(notify)
        shared = {"Restart docker"} if role.name != "docker" else set()  # by the entry point daemon_json
        assert notified <= handlers | shared
        assert handlers <= notified, "a handler that no task notifies"

    def test_role_uses_no_module_of_another_collection(self, role: Path) -> None:
        paths = [*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")]
        modules = re.findall(r"^\s+([a-z_]+\.[a-z_]+\.[a-z_0-9]+):", "".join(p.read_text() for p in paths), re.M)
        assert {module for module in modules if not module.startswith(("ansible.builtin.", "ollama.gpu."))} == set()

    def test_only_the_shared_role_downloads(self, role: Path) -> None:
        if role.name == "common":
            pytest.skip("it is the shared role")
        text = "".join(path.read_text() for path in role.glob("tasks/*.yml"))
        assert "get_url" not in text
        assert not re.search(r"\b(curl|wget)\b", text)

    def test_readme_is_up_to_date(self, role: Path) -> None:
        path = role / "README.md"
        assert path.read_text() == PAGES[path.relative_to(REPOSITORY)], "run `make docs`"


def test_page_of_all_roles_lists_every_role_and_variable() -> None:
    page = PAGES[Path("docs/reference/roles.md")]
    for role in ROLES:
        assert f"\n## {role.name}\n" in page
        for name in load(role / "defaults" / "main.yml") or {}:
            assert f"| `{name}` |" in page
