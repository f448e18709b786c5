"""An environment's variables with Terraform's defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from ollama_gpu.terraform import values

DECLARATIONS = locate().terraform / "variables.tf"


def test_variable_not_in_the_file_has_its_declared_default() -> None:
    found = values.read(DECLARATIONS, locate().environments / "dev.tfvars")
    assert found["fleets"]["interactive"]["max_size"] == 3
    assert found["fleets"]["interactive"]["root_volume"] == {"iops": 3000, "size_gib": 100, "throughput_mibs": 250}
    assert found["fleets"]["interactive"]["scaling"]["warmup_seconds"] == 300  # a default inside a default
    assert found["spot_enabled"] is False


def test_invalid_value_is_refused_with_terraforms_message(tmp_path: Path) -> None:
    text = (locate().environments / "prod.tfvars").read_text().replace("max_size       = 14", "max_size = 1")
    file = tmp_path / "own.tfvars"
    file.write_text(text)
    with pytest.raises(UserError, match="max_size is below min_size") as refused:
        values.read(DECLARATIONS, file)
    assert "own.tfvars" in refused.value.message


def test_special_characters_in_strings_are_preserved(tmp_path: Path) -> None:
    declarations = tmp_path / "variables.tf"
    declarations.write_text('variable "text" {\n  type = string\n}\n')
    file = tmp_path / "own.tfvars"
    file.write_text('text = "a < b & \\"c\\" $${d} %%{e} ü \\\\ \\n"\n')
    assert values.read(declarations, file) == {"text": 'a < b & "c" ${d} %{e} ü \\ \n'}


def test_values_are_cached_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declarations, file, cache = (tmp_path / name for name in ("variables.tf", "x.tfvars", "work/values.json"))
    declarations.write_text('variable "size" {\n  type    = number\n  default = 1\n}\n')
    file.write_text("")
    assert values.cached(declarations, file, cache) == {"size": 1}
    with monkeypatch.context() as patched:
        patched.setattr(values, "read", None)
        assert values.cached(declarations, file, cache) == {"size": 1}
    file.write_text("size = 2\n")
    assert values.cached(declarations, file, cache) == {"size": 2}
    cache.write_text('{"digest": ')
    assert values.cached(declarations, file, cache) == {"size": 2}


def test_only_a_read_with_rules_refuses_what_a_validation_refuses(tmp_path: Path) -> None:
    declarations, file = tmp_path / "variables.tf", tmp_path / "x.tfvars"
    declarations.write_text(
        'variable "size" {\n  type = number\n  validation {\n    condition     = var.size < 2\n'
        '    error_message = "Too large."\n  }\n}\n'
    )
    file.write_text("size = 2\n")
    with pytest.raises(UserError, match=r"Too large\."):
        values.read(declarations, file)
    assert values.cached(declarations, file, tmp_path / "values.json") == {"size": 2}
