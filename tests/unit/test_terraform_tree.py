"""Rules over the whole Terraform tree that no linter knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ollama_gpu.paths import locate

TREE = locate().terraform
FILES = sorted(path for path in TREE.rglob("*.tf") if ".terraform" not in path.parts)
# Files whose resources may be made before their predecessor goes: nothing that they depend on has a fixed name, for
# create_before_destroy is forced on all of that as well (docs/traps.md).
MADE_FIRST = {"modules/edge/certificate.tf", "modules/data/cache.tf", "modules/data/database.tf"}


def relative(path: Path) -> str:
    return path.relative_to(TREE).as_posix()


def test_create_before_destroy_stands_only_where_it_cannot_spread_to_fixed_names() -> None:
    found = {relative(path) for path in FILES if re.search(r"create_before_destroy\s*=\s*true", path.read_text())}
    assert found == MADE_FIRST


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_terraform_file_knows_of_an_emulator(path: Path) -> None:
    traces = r"localstack|moto|(?m:^\s*endpoints\s*\{)|skip_credentials|s3_use_path_style|5566"
    assert re.findall(traces, path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "variables.tf"], ids=relative)
def test_variables_stand_in_alphabetical_order_with_description_and_type(path: Path) -> None:
    text = path.read_text()
    names = re.findall(r'^variable "(\w+)"', text, flags=re.MULTILINE)
    assert names == sorted(names)
    blocks = re.split(r'^variable "\w+" \{', text, flags=re.MULTILINE)[1:]
    assert all(re.search(r"^  description\s+=", block, flags=re.MULTILINE) for block in blocks)
    assert all(re.search(r"^  type\s+=", block, flags=re.MULTILINE) for block in blocks)


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "outputs.tf"], ids=relative)
def test_outputs_stand_in_alphabetical_order_and_are_described(path: Path) -> None:
    text = path.read_text()
    names = re.findall(r'^output "(\w+)"', text, flags=re.MULTILINE)
    assert names == sorted(names)
    assert text.count("\n  description = ") == len(names)
