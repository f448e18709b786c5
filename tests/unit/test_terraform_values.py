"""An environment's variables with Terraform's own defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.paths import locate
from ollama_gpu.terraform import values

DECLARATIONS = locate().terraform / "variables.tf"


def test_what_a_file_leaves_out_has_the_declared_default() -> None:
    found = values.read(DECLARATIONS, locate().environments / "dev.tfvars")
    assert found["fleets"]["interactive"]["max_size"] == 3
    assert found["fleets"]["interactive"]["root_volume"] == {"iops": 3000, "size_gib": 100, "throughput_mibs": 250}
    assert found["fleets"]["interactive"]["scaling"]["warmup_seconds"] == 300  # a default inside a default
    assert found["spot_enabled"] is False


def test_a_value_that_terraform_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    text = (locate().environments / "prod.tfvars").read_text().replace("max_size       = 14", "max_size = 1")
    file = tmp_path / "own.tfvars"
    file.write_text(text)
    with pytest.raises(UserError, match="max_size is below min_size") as refused:
        values.read(DECLARATIONS, file)
    assert "own.tfvars" in refused.value.message


def test_texts_come_as_they_are(tmp_path: Path) -> None:
    declarations = tmp_path / "variables.tf"
    declarations.write_text('variable "text" {\n  type = string\n}\n')
    file = tmp_path / "own.tfvars"
    file.write_text('text = "a < b & \\"c\\" $${d} %%{e} ü \\\\ \\n"\n')
    assert values.read(declarations, file) == {"text": 'a < b & "c" ${d} %{e} ü \\ \n'}
