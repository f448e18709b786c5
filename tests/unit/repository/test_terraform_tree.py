"""Rules for the whole Terraform tree that no linter checks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ollama_gpu.core.paths import locate

TREE = locate().terraform
FILES = sorted(path for path in TREE.rglob("*.tf") if ".terraform" not in path.parts)
# Files whose resources may be created before their predecessor is destroyed. Terraform forces create_before_destroy on
# all dependencies too, so none of the dependencies may have a fixed name (docs/traps.md).
CREATED_FIRST = {"modules/edge/certificate.tf", "modules/data/cache.tf", "modules/data/database.tf"}


def relative(path: Path) -> str:
    return path.relative_to(TREE).as_posix()


def test_create_before_destroy_is_only_used_where_no_dependency_has_a_fixed_name() -> None:
    found = {relative(path) for path in FILES if re.search(r"create_before_destroy\s*=\s*true", path.read_text())}
    assert found == CREATED_FIRST


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_terraform_contains_no_emulator_settings(path: Path) -> None:
    traces = r"localstack|moto|(?m:^\s*endpoints\s*\{)|skip_credentials|s3_use_path_style|5566"
    assert re.findall(traces, path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "variables.tf"], ids=relative)
def test_variables_are_sorted_and_have_description_and_type(path: Path) -> None:
    text = path.read_text()
    names = re.findall(r'^variable "(\w+)"', text, flags=re.MULTILINE)
    assert names == sorted(names)
    blocks = re.split(r'^variable "\w+" \{', text, flags=re.MULTILINE)[1:]
    assert all(re.search(r"^  description\s+=", block, flags=re.MULTILINE) for block in blocks)
    assert all(re.search(r"^  type\s+=", block, flags=re.MULTILINE) for block in blocks)


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "outputs.tf"], ids=relative)
def test_outputs_are_sorted_and_have_descriptions(path: Path) -> None:
    text = path.read_text()
    names = re.findall(r'^output "(\w+)"', text, flags=re.MULTILINE)
    assert names == sorted(names)
    assert text.count("\n  description = ") == len(names)


def blocks(text: str, kind: str) -> dict[str, str]:
    """Top-level blocks of one kind, for example `module`, by their last label."""
    found = re.findall(rf'^{kind} (?:"\w+" )?"(\w+)" \{{\n(.*?)^\}}', text, flags=re.MULTILINE | re.DOTALL)
    return dict(found)


def test_every_role_has_the_permissions_boundary_and_modules_with_roles_receive_it() -> None:
    # A plan does not show a module's inputs, and the default is null: a missing line would remove the boundary.
    boundary = re.compile(r"^  permissions_boundary += var\.permissions_boundary_arn$", flags=re.MULTILINE)
    roles = {
        f"{relative(path)}:{name}": body
        for path in FILES
        for name, body in blocks(path.read_text(), 'resource "aws_iam_role"').items()
    }
    assert len(roles) >= 6
    assert [where for where, body in roles.items() if not boundary.search(body)] == []
    modules = blocks((TREE / "main.tf").read_text(), "module")
    receives = re.compile(r"^  permissions_boundary_arn += var\.permissions_boundary_arn$", flags=re.MULTILINE)
    with_roles = {where.split("/")[1] for where in roles if where.startswith("modules/")}
    assert {name for name, body in modules.items() if receives.search(body)} == with_roles


def test_the_plan_of_the_outputs_checks_every_output() -> None:
    named = set(re.findall(r"\boutput\.(\w+)", (TREE / "tests" / "criteria.tftest.hcl").read_text()))
    declared = set(re.findall(r'^output "(\w+)"', (TREE / "outputs.tf").read_text(), flags=re.MULTILINE))
    assert declared - named == set()


def test_vault_and_its_alarms_take_the_name_from_one_place() -> None:
    main = (TREE / "main.tf").read_text()
    given = re.findall(r"^  (?:backup_)?vault_name\s+= (.+)$", main, flags=re.MULTILINE)
    assert given == ["local.backup_vault_name"] * 2


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_checkov_exception_has_a_reason(path: Path) -> None:
    reasons = re.findall(r"#\s*checkov:skip=\w+(.*)", path.read_text())
    assert all(re.match(r":\s*\S.{8,}", reason) for reason in reasons), reasons


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_granting_wildcard_has_a_comment(path: Path) -> None:
    lines = path.read_text().splitlines()
    uncommented = []
    for number, line in enumerate(lines):
        if re.search(r'^\s*(actions|resources)\s*=\s*\[.*"[^"]*\*', line):
            start = max((at for at in range(number) if re.match(r"data |resource ", lines[at])), default=0)
            around = lines[max(0, start - 6) : number + 1] + lines[number + 1 : number + 3]
            denies = any('"Deny"' in each for each in lines[max(0, number - 6) : number + 6])
            if not denies and not any("#" in each for each in around):
                uncommented.append(f"{path.name}:{number + 1}: {line.strip()}")
    assert uncommented == []
