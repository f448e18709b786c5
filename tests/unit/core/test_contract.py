"""Reading the contract, and errors for an invalid one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate


def test_placeholders_in_names_are_replaced() -> None:
    agreed = contract.load(locate().contract)
    assert agreed.parameter("image", "prod") == "/ollama-gpu/prod/image"
    assert agreed.secret("database", "dev").endswith("dev/database")
    assert agreed.state_bucket("123456789012", "eu-central-1") == "ollama-gpu-state-123456789012-eu-central-1"


def test_names_of_parameters_secrets_and_log_groups_contain_the_environment() -> None:
    agreed = contract.load(locate().contract)
    for table in (agreed.parameters, agreed.secrets, agreed.log_groups):
        assert all("{environment}" in name for name in table.values())


def test_missing_section_is_named_in_the_error(tmp_path: Path) -> None:
    broken = tmp_path / "instance.yaml"
    broken.write_text(locate().contract.read_text().replace("lifecycle_hooks:", "hooks:"))
    with pytest.raises(UserError, match="hooks"):
        contract.load(broken)


def test_contract_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "instance.yaml"
    broken.write_text("ports: [")
    with pytest.raises(UserError, match="Cannot read the contract"):
        contract.load(broken)
