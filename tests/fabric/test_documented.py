"""Documented commands that no other test runs: read-only commands, and one that reads standard input."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.fabric.driver import COMMAND, ROOT, Driver, Run


def test_the_doctor_finds_no_failure(driver: Driver) -> None:
    rows = {row["what"]: row["state"] for row in driver.run("doctor", "--env", "local", "--json").json}
    assert rows["Terraform"] == "ok"
    assert "failed" not in rows.values()


def test_preflight_passes_and_every_warning_has_a_remedy(driver: Driver, deployed: dict[str, Any]) -> None:
    done = driver.run("preflight", "--env", "local", "--json")
    assert done.status == 0, done.err
    assert all(row["remedy"] for row in done.json if row["state"] == "warning")
    assert {row["state"] for row in done.json} <= {"ok", "warning", "skipped"}


def test_the_administrator_can_be_read(driver: Driver, aws: Any, deployed: dict[str, Any]) -> None:
    result = driver.run("administrator", "--env", "local", "--json").json
    kept = json.loads(aws("secretsmanager").get_secret_value(SecretId="ollama-gpu/local/administrator")["SecretString"])
    assert result["password"] == kept["password"]
    assert result["email"] in driver.run("administrator", "--env", "local").out


def test_rollout_reports_that_none_is_due_or_under_way(driver: Driver, deployed: dict[str, Any]) -> None:
    result = driver.make("rollout", "ENV=local", "JSON=1").json
    assert (result["interactive"]["due"], sum(result["interactive"]["instances_by_version"].values())) == (False, 2)
    for what in ("follow", "cancel"):
        done = driver.make("rollout", "ENV=local", f"DO={what}")
        assert done.status == 0, done.err
        assert "No rollout is under way." in done.err


def test_a_backup_is_made_and_listed(driver: Driver, deployed: dict[str, Any]) -> None:
    made = driver.make("backup", "ENV=local", "ONLY=configuration", "JSON=1")
    assert made.status == 0, made.err
    listed = driver.make("backup", "ENV=local", "LIST=1", "JSON=1")
    assert listed.status == 0, listed.err
    assert str(made.json["backup"]) in listed.out


def test_sign_on_stores_the_client_secret_from_standard_input(
    driver: Driver, aws: Any, deployed: dict[str, Any]
) -> None:
    def sign_on(given: str) -> Run:
        done = subprocess.run(
            [str(COMMAND), "sign-on", "--env", "local"],
            cwd=ROOT, env=driver.environment(), input=given, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return Run(done.returncode, done.stdout, done.stderr)

    assert sign_on("").refused("empty", "standard input")
    done = sign_on("as-the-provider-shows-it\n")
    assert done.status == 0, done.err
    assert "as-the-provider" not in done.out + done.err
    kept = aws("secretsmanager").get_secret_value(SecretId="ollama-gpu/local/sign-on")["SecretString"]
    assert json.loads(kept) == {"client_secret": "as-the-provider-shows-it"}
