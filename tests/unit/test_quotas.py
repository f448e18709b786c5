"""How many vCPUs a fleet needs at its maximum, by purchase and class of instance type."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ollama_gpu import environments
from ollama_gpu.environments import Environment, Variables
from ollama_gpu.paths import locate
from ollama_gpu.preflight import QUOTAS, vcpus_needed

VCPUS = {"g5.xlarge": 4, "g5.12xlarge": 48, "g4dn.xlarge": 4, "p3.2xlarge": 8}


def environment(spot_enabled: bool = False, **fleets: dict[str, Any]) -> Environment:
    known = environments.load(locate(), "prod")
    variables = Variables.model_validate(
        {"environment": "prod", "region": "us-east-1", "fleets": fleets, "spot_enabled": spot_enabled}
    )
    return replace(known, variables=variables)


def needed(env: Environment) -> dict[str, int]:
    return {quota.code: count for quota in QUOTAS if (count := vcpus_needed(env, quota, VCPUS))}


def fleet(*types: str, max_size: int, **more: Any) -> dict[str, Any]:
    return {"instance_types": list(types), "min_size": 2, "max_size": max_size, **more}


def test_on_demand_needs_only_the_on_demand_quota() -> None:
    assert needed(environment(interactive=fleet("g5.xlarge", max_size=10))) == {"L-DB2E81BA": 40}


def test_the_largest_type_counts_because_any_of_them_may_be_all_that_is_to_be_had() -> None:
    assert needed(environment(interactive=fleet("g5.xlarge", "g5.12xlarge", max_size=10))) == {"L-DB2E81BA": 480}


def test_spot_above_the_base_moves_its_share_to_the_spot_quota() -> None:
    env = environment(True, interactive=fleet("g5.xlarge", max_size=10, on_demand_base=2, spot_percentage=50))
    assert needed(env) == {"L-DB2E81BA": 24, "L-3819A6DF": 16}


def test_p_types_have_quotas_of_their_own() -> None:
    assert needed(environment(interactive=fleet("p3.2xlarge", "g5.xlarge", max_size=4))) == {
        "L-417A185B": 32,
        "L-DB2E81BA": 16,
    }


@pytest.mark.parametrize(
    ("spot", "expected"), [(False, {"L-DB2E81BA": 8}), (True, {"L-DB2E81BA": 8, "L-3819A6DF": 12})]
)
def test_the_batch_fleet_is_all_spot_and_counts_only_when_spot_is_on(spot: bool, expected: dict[str, int]) -> None:
    env = environment(spot, interactive=fleet("g5.xlarge", max_size=2), batch=fleet("g4dn.xlarge", max_size=3))
    assert needed(env) == expected
