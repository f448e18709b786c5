"""The vCPUs that fleets need at their maximum, by quota."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.environment.settings import Environment
from ollama_gpu.fabric.quotas import QUOTAS, vcpus_needed
from tests.contexts import variables

VCPUS = {"g5.xlarge": 4, "g5.12xlarge": 48, "g4dn.xlarge": 4, "p3.2xlarge": 8}


def environment(spot_enabled: bool = False, **fleets: dict[str, Any]) -> Environment:
    known = settings.load(locate(), "prod")
    chosen = variables(environment="prod", region="us-east-1", fleets=fleets, spot_enabled=spot_enabled)
    return replace(known, variables=chosen)


def needed(env: Environment) -> dict[str, int]:
    return {quota.code: count for quota in QUOTAS if (count := vcpus_needed(env, quota, VCPUS))}


def fleet(*types: str, max_size: int, **more: Any) -> dict[str, Any]:
    return {"instance_types": list(types), "min_size": 2, "max_size": max_size, **more}


def test_on_demand_fleet_needs_only_the_on_demand_quota() -> None:
    assert needed(environment(interactive=fleet("g5.xlarge", max_size=10))) == {"L-DB2E81BA": 40}


def test_largest_instance_type_counts() -> None:
    assert needed(environment(interactive=fleet("g5.xlarge", "g5.12xlarge", max_size=10))) == {"L-DB2E81BA": 480}


def test_spot_share_above_the_on_demand_base_needs_the_spot_quota() -> None:
    env = environment(True, interactive=fleet("g5.xlarge", max_size=10, on_demand_base=2, spot_percentage=50))
    assert needed(env) == {"L-DB2E81BA": 24, "L-3819A6DF": 16}


def test_p_types_have_separate_quotas() -> None:
    assert needed(environment(interactive=fleet("p3.2xlarge", "g5.xlarge", max_size=4))) == {
        "L-417A185B": 32,
        "L-DB2E81BA": 16,
    }


@pytest.mark.parametrize(
    ("spot", "expected"), [(False, {"L-DB2E81BA": 8}), (True, {"L-DB2E81BA": 8, "L-3819A6DF": 12})]
)
def test_batch_fleet_needs_spot_quota_only_if_spot_is_enabled(spot: bool, expected: dict[str, int]) -> None:
    env = environment(spot, interactive=fleet("g5.xlarge", max_size=2), batch=fleet("g4dn.xlarge", max_size=3))
    assert needed(env) == expected
