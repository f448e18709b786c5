"""Tests of ollama_gpu.environment.settings: an environment's files are checked before Terraform runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import settings

GOOD = """
environment = "dev"
region      = "us-east-1"
fleets = {
  interactive = {
    instance_types = ["g5.xlarge"]
    min_size       = 2
    max_size       = 3
  }
}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Paths:
    """A tree with one valid environment, `dev`, and the real declarations of variables."""
    paths = Paths(tmp_path, tmp_path / "work")
    paths.environments.mkdir(parents=True)
    declarations = (locate().terraform / "variables.tf").read_text()
    (paths.terraform / "variables.tf").write_text(declarations)
    write(paths, "dev", GOOD)
    return paths


def write(paths: Paths, name: str, variables: str, backend: str | None = None) -> None:
    (paths.environments / f"{name}.tfvars").write_text(variables)
    (paths.environments / f"{name}.backend.hcl").write_text(
        backend or f'key = "{name}/terraform.tfstate"\nregion = "us-east-1"\n'
    )


def refusal(paths: Paths, name: str) -> UserError:
    with pytest.raises(UserError) as caught:
        settings.load(paths, name)
    assert caught.value.status == 2
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("name", settings.names(locate()))
def test_every_shipped_environment_loads(name: str) -> None:
    loaded = settings.load(locate(), name)
    assert loaded.name == name
    assert loaded.variables.fleets["interactive"].min_size >= 2


def test_shipped_environments_have_distinct_state_keys() -> None:
    keys = [settings.load(locate(), name).state_key for name in settings.names(locate())]
    assert len(keys) == len(set(keys))


def test_only_local_is_embedded() -> None:
    assert [name for name in settings.names(locate()) if settings.load(locate(), name).embedded] == ["local"]


def test_an_unknown_environment_is_refused_with_the_known_names(tree: Paths) -> None:
    assert "dev" in refusal(tree, "production").remedy


@pytest.mark.parametrize("name", ["../dev", "DEV", "", "dev/../dev"])
def test_an_invalid_name_is_refused_as_unknown(tree: Paths, name: str) -> None:
    assert "There is no environment" in refusal(tree, name).message


def test_malformed_hcl_is_refused_with_line_and_column(tree: Paths) -> None:
    write(tree, "dev", 'environment = "dev"\nregion = = "x"\n')
    assert "line 2" in refusal(tree, "dev").message


def test_a_wrong_type_is_refused_with_the_path_of_the_attribute(tree: Paths) -> None:
    write(tree, "dev", GOOD.replace("max_size       = 3", 'max_size = "three"'))
    assert "fleets.interactive.max_size" in refusal(tree, "dev").message


def test_a_missing_variable_is_named(tree: Paths) -> None:
    write(tree, "dev", GOOD.replace('region      = "us-east-1"', ""))
    assert "region" in refusal(tree, "dev").message


def test_a_misspelt_variable_is_refused_rather_than_ignored(tree: Paths) -> None:
    write(tree, "dev", GOOD + "spot_enable = true\n")
    refused = refusal(tree, "dev")
    assert "spot_enable" in refused.message
    assert "spot_enabled" in refused.remedy


def test_a_file_that_sets_another_environments_name_is_refused(tree: Paths) -> None:
    write(tree, "dev", GOOD.replace('"dev"', '"prod"'))
    assert "prod" in refusal(tree, "dev").message


def test_a_missing_backend_file_is_refused(tree: Paths) -> None:
    (tree.environments / "dev.backend.hcl").unlink()
    assert "dev.backend.hcl" in refusal(tree, "dev").message


def test_a_backend_without_a_key_is_refused(tree: Paths) -> None:
    write(tree, "dev", GOOD, 'region = "us-east-1"\n')
    assert "key" in refusal(tree, "dev").message


def test_two_environments_with_one_state_are_refused(tree: Paths) -> None:
    write(tree, "qa", GOOD.replace('"dev"', '"qa"'), 'key = "dev/terraform.tfstate"\nregion = "us-east-1"\n')
    assert "same state" in refusal(tree, "qa").message
