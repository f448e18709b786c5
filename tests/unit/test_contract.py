"""The contract reads, and what is wrong in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu import contract
from ollama_gpu.errors import UserError
from ollama_gpu.paths import locate


def test_names_come_out_with_their_placeholders_filled() -> None:
    agreed = contract.load(locate().contract)
    assert agreed.parameter("image", "prod") == "/ollama-gpu/prod/image"
    assert agreed.secret("database", "dev").endswith("dev/database")
    assert agreed.state_bucket("123456789012", "eu-central-1") == "ollama-gpu-state-123456789012-eu-central-1"


def test_secret_and_parameter_names_of_two_environments_differ() -> None:
    agreed = contract.load(locate().contract)
    for table in (agreed.parameters, agreed.secrets, agreed.log_groups):
        assert all("{environment}" in name for name in table.values())


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "instance.yaml"
    broken.write_text(locate().contract.read_text().replace("lifecycle_hooks:", "hooks:"))
    with pytest.raises(UserError, match="hooks"):
        contract.load(broken)


def test_a_contract_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "instance.yaml"
    broken.write_text("ports: [")
    with pytest.raises(UserError, match="cannot be read"):
        contract.load(broken)
