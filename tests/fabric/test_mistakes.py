"""User errors that are found before anything runs: one clear message, status 1 or 2, no traceback."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.fabric.driver import Driver


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path / "work")


def with_variables(driver: Driver, **variables: str | None) -> Driver:
    return Driver(driver.work, variables)


def test_an_unknown_environment_is_refused(driver: Driver) -> None:
    assert driver.run("deploy", "--env", "production").refused("production", "local", "prod")


def test_an_environment_that_does_not_run_cannot_be_read(driver: Driver) -> None:
    for verb in ("outputs", "status", "env"):
        assert driver.run(verb, "--env", "local").refused("not running", "make deploy ENV=local")


def test_destroying_an_environment_that_does_not_run_succeeds(driver: Driver) -> None:
    done = driver.run("destroy", "--env", "local", "--json")
    assert (done.status, done.json) == (0, {"left": []})


def test_missing_credentials_are_reported(driver: Driver) -> None:
    without_credentials = with_variables(driver, HOME=str(driver.work), AWS_EC2_METADATA_DISABLED="true")
    for verb in ("preflight", "plan", "deploy", "status"):
        seen = without_credentials.run(verb, "--env", "dev")
        assert seen.status == 1
        assert "No AWS credentials" in seen.out + seen.err, seen
        assert "Traceback" not in seen.err


def test_an_unknown_profile_is_refused(driver: Driver) -> None:
    other = with_variables(driver, AWS_PROFILE="nobody", HOME=str(driver.work))
    assert other.run("plan", "--env", "dev").refused("nobody", "AWS_PROFILE")


def test_a_shell_configured_for_the_embedded_aws_cannot_reach_prod(driver: Driver) -> None:
    stale = with_variables(driver, AWS_ENDPOINT_URL="http://127.0.0.1:5566")
    assert stale.run("deploy", "--env", "prod").refused("AWS_ENDPOINT_URL", "unset")


def test_missing_terraform_is_reported(driver: Driver) -> None:
    bare = with_variables(driver, PATH="/usr/bin:/bin")
    seen = bare.run("doctor")
    assert seen.status == 1
    assert "Terraform was not found" in seen.out
    assert "1.11" in seen.out
    for verb in ("plan", "deploy"):
        assert bare.run(verb, "--env", "dev").refused("Terraform was not found", "1.11")


def test_an_old_terraform_is_refused(driver: Driver, tmp_path: Path) -> None:
    old = tmp_path / "bin" / "terraform"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.5.7", "provider_selections": {}}\'\n')
    old.chmod(old.stat().st_mode | stat.S_IEXEC)
    outdated = with_variables(driver, PATH=f"{old.parent}:{os.environ['PATH']}")
    seen = outdated.run("doctor")
    assert seen.status == 1
    assert "1.5.7" in seen.out
    assert "1.11" in seen.out
    try:
        for verb in ("plan", "deploy"):
            assert outdated.run(verb, "--env", "local").refused("1.5.7", "1.11")
    finally:
        driver.run("local-down")


def test_a_mirror_without_providers_is_reported(driver: Driver, tmp_path: Path) -> None:
    empty = tmp_path / "mirror"
    empty.mkdir()
    seen = with_variables(driver, OLLAMA_GPU_PROVIDER_MIRROR=str(empty)).run("doctor")
    assert seen.status == 1
    assert "OLLAMA_GPU_PROVIDER_MIRROR" in seen.out


def test_a_missing_terraform_cli_configuration_is_accepted(driver: Driver, tmp_path: Path) -> None:
    assert with_variables(driver, TF_CLI_CONFIG_FILE=str(tmp_path / "missing")).run("doctor").status == 0


def test_a_working_folder_that_cannot_be_created_is_reported(driver: Driver, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert Driver(blocked / "work").run("deploy", "--env", "local", "--no-lab").refused(str(blocked))


def test_an_unknown_option_is_refused(driver: Driver) -> None:
    assert driver.run("deploy", "--enviroment", "local").refused("No such option")


def test_destroying_a_protected_environment_is_refused_first(driver: Driver) -> None:
    # Works without credentials, because the refusal needs none.
    assert (
        with_variables(driver, HOME=str(driver.work))
        .run("destroy", "--env", "prod", "--yes")
        .refused("deletion_protection = false")
    )
