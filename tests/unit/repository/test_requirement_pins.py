"""Tests of requirements.yml: its versions are those of the pinned tools, and it lists what the playbooks use."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
REQUIRED = {
    each["name"]: each["version"] for each in yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]
}
USED = re.compile(r"\b((?:amazon|community|ansible)\.(?!builtin|python)\w+)\.\w+")


def installed(name: str) -> str:
    found = importlib.util.find_spec("ansible_collections")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package `ansible` is not installed here")
    for folder in found.submodule_search_locations:
        manifest = Path(folder).joinpath(*name.split("."), "MANIFEST.json")
        if manifest.is_file():
            return str(json.loads(manifest.read_text())["collection_info"]["version"])
    return "not installed"


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_the_required_version_is_installed(name: str) -> None:
    assert installed(name) == REQUIRED[name]


def test_the_playbooks_use_exactly_the_required_collections() -> None:
    used = set()
    for folder in ("playbooks", "inventories", "molecule"):
        for path in (ROOT / folder).rglob("*.yml"):
            used.update(USED.findall(path.read_text()))
    assert used == set(REQUIRED)
