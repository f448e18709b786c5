"""Counting the paid resources of a plan, and caching the result."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import settings
from ollama_gpu.planning import resources

GATEWAY = {"vpc_endpoint_type": "Gateway"}  # its subnets are unknown in a plan
INTERFACE = {"vpc_endpoint_type": "Interface", "subnet_ids": [None, None, None]}
DATABASE = {"instance_class": "db.r6g.large", "allocated_storage": 100, "manage_master_user_password": True}
QUERY, MATH = {"metric": [{}]}, {"metric": []}


def policy(predefined: int, custom: list[list[dict[str, Any]]]) -> dict[str, Any]:
    specification = [{"metrics": metrics} for metrics in custom]
    return {
        "target_tracking_configuration": [
            {"predefined_metric_specification": [{}] * predefined, "customized_metric_specification": specification}
        ]
    }


@pytest.mark.parametrize(
    ("kind", "attributes", "field", "expected"),
    [
        ("aws_vpc_endpoint", INTERFACE, "interface_endpoints", 3),
        ("aws_vpc_endpoint", GATEWAY, "interface_endpoints", 0),
        ("aws_lb", {"internal": False, "subnets": [None, None]}, "public_addresses", 2),
        ("aws_lb", {"internal": True, "subnets": [None, None]}, "public_addresses", 0),
        ("aws_eip", {}, "public_addresses", 1),
        ("aws_wafv2_web_acl", {"rule": [{}, {}]}, "waf_rules", 2),
        ("aws_cloudwatch_metric_alarm", {"metric_query": []}, "alarm_metrics", 1),
        ("aws_cloudwatch_metric_alarm", {"metric_query": [MATH, QUERY, QUERY]}, "alarm_metrics", 2),
        ("aws_autoscaling_policy", policy(1, []), "scaling_alarm_metrics", 2),
        (
            "aws_autoscaling_policy",
            policy(0, [[{"metric_stat": [{}]}, {"metric_stat": []}]]),
            "scaling_alarm_metrics",
            2,
        ),
        ("aws_autoscaling_policy", {"target_tracking_configuration": []}, "scaling_alarm_metrics", 0),
        ("aws_autoscaling_group", {"tag": [{"key": "Fleet", "value": "batch"}]}, "fleets", ("batch",)),
        ("aws_secretsmanager_secret", {}, "secrets", 1),
        ("aws_db_instance", {**DATABASE, "max_allocated_storage": 500}, "secrets", 1),
        ("aws_iam_role", {}, "kms_keys", 0),
    ],
)
def test_resource_is_counted_as_aws_bills_it(kind: str, attributes: dict[str, Any], field: str, expected: Any) -> None:
    assert getattr(resources.of([(kind, attributes)]), field) == expected


@pytest.mark.parametrize(("most", "expected"), [(500, 500), (0, 100)])
def test_database_without_storage_autoscaling_keeps_its_size(most: int, expected: int) -> None:
    (database,) = resources.of([("aws_db_instance", {**DATABASE, "max_allocated_storage": most})]).databases
    assert (database.storage_gib, database.max_storage_gib) == (100, expected)


def test_plan_is_made_once_and_again_when_the_variables_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(locate().repository, tmp_path)
    plans: list[Path] = []
    notes: list[str] = []

    def plan(_paths: Paths, file: Path, _values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        plans.append(file)
        return [("aws_kms_key", {})] * len(plans)

    monkeypatch.setattr(resources, "plan", plan)
    prod, dev = settings.load(paths, "prod"), settings.load(paths, "dev")
    first = resources.load(paths, prod, {}, notes.append)
    assert resources.load(paths, prod, {}, notes.append) == first
    assert len(plans) == len(notes) == 1
    edited = tmp_path / "prod.tfvars"
    edited.write_bytes(prod.variables_file.read_bytes() + b"# edited\n")
    changed = dataclasses.replace(prod, variables_file=edited)
    assert resources.load(paths, changed, {}, notes.append).kms_keys == 2
    assert resources.load(paths, dev, {}, notes.append).kms_keys == 3


def test_damaged_cache_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(locate().repository, tmp_path)
    (tmp_path / "cost").mkdir()
    (tmp_path / "cost" / "prod.json").write_text("[]")
    monkeypatch.setattr(resources, "plan", lambda *_: [("aws_kms_key", {})])
    assert resources.load(paths, settings.load(paths, "prod"), {}, print).kms_keys == 1


def test_failed_plan_reports_the_message_of_terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "terraform"
    diagnostic = (
        '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"No provider","detail":"Install it."}}'
    )
    program.write_text(f"#!/bin/sh\necho '{diagnostic}'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    paths = Paths(locate().repository, tmp_path / "work")
    network = {"zones": ["us-east-1a"], "existing": None}
    with pytest.raises(UserError, match=r"No provider: Install it\."):
        resources.plan(paths, tmp_path / "x.tfvars", {"region": "us-east-1", "network": network, "fleets": {}})
