"""Finding Terraform and provider mirrors."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.installation import (
    CONFIG_VARIABLE,
    MIRROR_VARIABLE,
    ProviderMirrors,
    Version,
    check_version,
    clean_environment,
    find_provider_mirrors,
    find_terraform,
)

HOST = "registry.example.org"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
TARGET = f"{sys.platform}_{ARCHITECTURE}"


def make_mirror(folder: Path, provider: str = "hashicorp/aws", target: str = TARGET) -> Path:
    (folder / HOST / provider / "5.100.0" / target).mkdir(parents=True)
    return folder


class Machine:
    """Empty folders: a home, a work folder and two folders to search."""

    def __init__(self, root: Path) -> None:
        self.home, self.work, self.opt, self.srv = (root / name for name in ("home", "work", "opt", "srv"))
        for folder in (self.home, self.opt, self.srv):
            folder.mkdir()

    def find(self, **environment: str) -> ProviderMirrors:
        settings = {"XDG_DATA_DIRS": str(self.home / "none"), **environment}
        return find_provider_mirrors(self.work, settings, self.home, (self.opt, self.srv))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_mirror_in_a_subfolder_is_found_and_configured(machine: Machine) -> None:
    mirror = make_mirror(machine.srv / "a" / "b" / "mirror")
    found = machine.find()
    assert (found.source, found.folder) == ("found", mirror)
    assert str(mirror) in found.explanation
    text = Path(found.environment[CONFIG_VARIABLE]).read_text()
    assert f'path    = "{mirror}"' in text
    assert text.count(f'["{HOST}/hashicorp/aws"]') == 2  # included from the mirror, excluded from direct


def test_all_providers_in_the_mirror_are_installed_from_it(machine: Machine) -> None:
    mirror = make_mirror(machine.opt / "m")
    make_mirror(mirror, "hashicorp/random")
    text = Path(machine.find().environment[CONFIG_VARIABLE]).read_text()
    assert text.count(f'["{HOST}/hashicorp/aws", "{HOST}/hashicorp/random"]') == 2


def test_mirror_with_zip_files_is_found(machine: Machine) -> None:
    folder = machine.opt / "m" / HOST / "hashicorp" / "aws"
    folder.mkdir(parents=True)
    (folder / f"terraform-provider-aws_5.100.0_{TARGET}.zip").touch()
    assert machine.find().folder == machine.opt / "m"


def test_mirror_for_another_platform_is_ignored(machine: Machine) -> None:
    make_mirror(machine.opt / "m", target="plan9_mips")
    assert machine.find().source == "none"


def test_without_a_mirror_nothing_is_configured(machine: Machine) -> None:
    make_mirror(machine.opt / "1" / "2" / "3" / "4" / "too-deep")
    found = machine.find()
    assert (found.source, dict(found.environment)) == ("none", {})
    assert not machine.work.exists()


def test_mirror_variable_has_precedence(machine: Machine) -> None:
    make_mirror(machine.opt / "m")
    (machine.home / ".terraformrc").touch()
    named = make_mirror(machine.home / "mine")
    found = machine.find(**{MIRROR_VARIABLE: str(named)})
    assert (found.source, found.folder) == ("variable", named)


def test_mirror_variable_without_the_provider_is_refused(machine: Machine) -> None:
    with pytest.raises(UserError, match="contains no hashicorp/aws provider") as error:
        machine.find(**{MIRROR_VARIABLE: str(machine.home)})
    assert error.value.status == 2


@pytest.mark.parametrize("by_variable", [True, False])
def test_cli_configuration_of_the_user_is_not_changed(machine: Machine, by_variable: bool) -> None:
    make_mirror(machine.opt / "m")
    own = machine.home / ("own.rc" if by_variable else ".terraformrc")
    own.write_text("disable_checkpoint = true\n")
    found = machine.find(**({CONFIG_VARIABLE: str(own)} if by_variable else {}))
    assert (found.source, dict(found.environment)) == ("configured", {})
    assert str(own) in found.explanation


def test_missing_cli_configuration_is_ignored(machine: Machine) -> None:
    make_mirror(machine.opt / "m")
    assert machine.find(**{CONFIG_VARIABLE: str(machine.home / "gone")}).source == "found"


def test_implied_local_mirror_needs_no_configuration(machine: Machine) -> None:
    make_mirror(machine.home / ".terraform.d" / "plugins")
    found = machine.find()
    assert (found.source, dict(found.environment)) == ("implied", {})


def test_search_stops_after_2000_folders(machine: Machine) -> None:
    for outer in range(40):
        for inner in range(40):
            for leaf in range(2):
                (machine.opt / f"{outer}" / f"{inner}" / f"{leaf}").mkdir(parents=True)
    found = machine.find()
    assert found.source == "none"
    assert "stopped after 2000 folders" in found.explanation


def test_missing_terraform_is_reported_with_the_searched_folders(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        find_terraform("terraform", search_path=str(tmp_path))
    assert str(tmp_path) in error.value.message
    assert "1.11" in error.value.remedy


@pytest.mark.parametrize("text", ["1.10.5", "0.15.0", "1.9.8-rc1"])
def test_old_terraform_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=rf"{text}.*1\.11"):
        check_version(Version(text))


@pytest.mark.parametrize("text", ["1.11.0", "1.11.4", "1.12.0-beta1", "2.0.0"])
def test_new_enough_terraform_is_accepted(text: str) -> None:
    check_version(Version(text))


def test_variables_that_would_silently_change_the_run_are_removed(tmp_path: Path) -> None:
    kept, ignored = clean_environment(
        {
            "PATH": "/bin",
            "TF_LOG": "debug",
            "TF_WORKSPACE": "other",
            "TF_CLI_ARGS_plan": "-destroy",
            "TF_VAR_size": "9",
            CONFIG_VARIABLE: str(tmp_path / "gone"),
        }
    )
    assert kept == {"PATH": "/bin", "TF_LOG": "debug"}
    assert ignored == ["TF_CLI_ARGS_plan", "TF_VAR_size", "TF_WORKSPACE"]
