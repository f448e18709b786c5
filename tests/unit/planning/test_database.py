"""The connections of every shipped environment fit its database."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest
import yaml
from moto.ec2.models.instance_types import INSTANCE_TYPES

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.fabric import preflight
from ollama_gpu.planning import database
from tests.contexts import context_of

PATHS = locate()
CLASSES: dict[str, int] = yaml.safe_load((PATHS.terraform / "database_classes.yaml").read_text())


@pytest.mark.parametrize("name", settings.names(PATHS))
def test_instances_of_every_environment_fit_its_database(name: str) -> None:
    environment = settings.load(PATHS, name)
    limit = database.limit(PATHS, environment.variables.data.database_instance_class)
    assert limit is not None
    assert database.needed(PATHS, environment) <= limit


def test_connections_are_those_of_full_pools_during_a_rollout() -> None:
    prod = settings.load(PATHS, "prod")
    assert database.needed(PATHS, prod) == math.ceil(14 * 1.1) * 8 * (5 + 5 + 2 + 3)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_class_takes_nine_tenths_of_the_formula_of_rds(name: str) -> None:
    memory = INSTANCE_TYPES[name.removeprefix("db.")]["MemoryInfo"]["SizeInMiB"] * 1024**2
    assert CLASSES[name] == min(5000, math.floor(0.9 * memory / 9531392))


@pytest.mark.parametrize(
    ("instance_class", "state", "seen"),
    [
        ("db.r6g.xlarge", "ok", "up to 1920"),
        ("db.r6g.large", "warning", "takes 1622 connections"),
        ("db.x2g.large", "warning", "not known"),
    ],
)
def test_preflight_compares_connections_with_the_class(instance_class: str, state: str, seen: str) -> None:
    prod: Any = settings.load(PATHS, "prod")
    data = prod.variables.data.model_copy(update={"database_instance_class": instance_class})
    environment = replace(prod, variables=prod.variables.model_copy(update={"data": data}))
    check = preflight.database(context_of(environment, contract.load(PATHS.contract), cast(Aws, None)))
    assert (check.state, seen in check.seen, bool(check.remedy)) == (state, True, state != "ok"), check
