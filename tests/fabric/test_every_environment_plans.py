"""dev, staging and prod as they are shipped: each plans on a bootstrapped account, and none touches another."""

from __future__ import annotations

import functools
import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ollama_gpu import contract, environments, images, leftovers, preflight
from ollama_gpu.aws import Aws
from ollama_gpu.context import Context
from ollama_gpu.embedded_aws.process import environment_variables
from ollama_gpu.errors import UserError
from ollama_gpu.fabric import Fabric, SavedPlan, terraform_environment
from ollama_gpu.paths import Paths, locate
from ollama_gpu.progress import NoProgress
from ollama_gpu.releases import Release
from ollama_gpu.review import holds_data
from ollama_gpu.terraform import values
from tests.fabric.conftest import Account
from tests.fabric.paid import disagreements

AGREED = contract.load(locate().contract)
SHIPPED = ("dev", "staging", "prod")
RELEASE = Release("0123456789ab", "0" * 64, "open-webui==0.12.4")
Planned = Callable[[str], SavedPlan]
NAMES = {
    *("name", "bucket", "identifier", "replication_group_id", "policy_name", "dashboard_name", "alarm_name"),
    *("alias", "creation_token", "domain_name", "fqdn"),
}
NAMED_WITHIN_ANOTHER = {
    *("aws_autoscaling_lifecycle_hook", "aws_autoscaling_policy", "aws_iam_role_policy"),
    "aws_backup_restore_testing_selection",
}
"""Whose names are unique within a group, a role or a plan."""
OF_THE_ACCOUNT = {
    *("aws_ebs_encryption_by_default", "aws_ebs_default_kms_key", "aws_s3_account_public_access_block"),
    *("aws_backup_region_settings", "aws_backup_global_settings", "aws_ec2_instance_metadata_defaults"),
    *("aws_iam_account_password_policy", "aws_iam_account_alias", "aws_iam_service_linked_role"),
    *("aws_ssm_service_setting", "aws_guardduty_detector", "aws_securityhub_account"),
}
"""What an account and region has once, so that no environment may own it."""


def context(account: Account, name: str) -> Context:
    """The context of an environment whose AWS is the bootstrapped one, as `make env` would point a shell at it."""
    where = Paths(locate().repository, account.driver.work)
    variables = environment_variables(account.endpoint, account.aws.region)
    return Context(
        where,
        environments.load(where, name),
        AGREED,
        account.aws,
        exports={key: value for key, value in variables.items() if value is not None},
        unset=tuple(key for key, value in variables.items() if value is None),
    )


@pytest.fixture(scope="module")
def account(bootstrapped: Account) -> Account:
    """The bootstrapped account with what the shipped variables name: a zone each, an image, and a model set."""
    names = ("gemma3:4b", "nomic-embed-text:latest")
    models = json.dumps({"models": [{"name": name, "digest": "sha256:" + "0" * 64} for name in names]})
    stock = bootstrapped.aws.ssm.get_parameter(Name=images.STOCK_PARAMETER)["Parameter"]["Value"]
    for name in SHIPPED:
        domain = context(bootstrapped, name).environment.variables.edge.domain
        assert domain is not None
        bootstrapped.aws.route53.create_hosted_zone(Name=domain.zone, CallerReference=name)
        for parameter, value in (("image", stock), ("models", models)):
            bootstrapped.aws.ssm.put_parameter(Name=AGREED.parameter(parameter, name), Value=value, Type="String")
    return bootstrapped


@pytest.fixture(scope="module")
def planned(account: Account) -> Planned:
    """A function that plans an environment, once."""

    @functools.cache
    def plan(name: str) -> SavedPlan:
        fabric = Fabric(context(account, name), NoProgress(), RELEASE)
        fabric.init()
        return fabric.plan()

    return plan


@contextmanager
def held_lock(aws: Aws, key: str) -> Iterator[None]:
    place = {"Bucket": AGREED.state_bucket(aws.identity.account, aws.region), "Key": f"{key}.tflock"}
    holder = {
        "ID": "6a3e54a1-6f6f-4f9e-9a3b-9f0c7c1f2d11",
        "Operation": "OperationTypeApply",
        "Info": "",
        "Who": "maria@ops",
        "Version": "1.11.4",
        "Created": "2026-11-23T00:00:00Z",
        "Path": "",
    }
    aws.s3.put_object(**place, Body=json.dumps(holder).encode())
    try:
        yield
    finally:
        aws.s3.delete_object(**place)


def test_the_configuration_is_valid(account: Account) -> None:
    fabric = Fabric(context(account, "dev"), NoProgress())
    fabric.init()
    fabric.validate()


@pytest.mark.parametrize("name", SHIPPED)
def test_preflight_finds_nothing_in_the_way_of_the_shipped_variables(account: Account, name: str) -> None:
    rows = preflight.run(context(account, name).environment, AGREED, account.aws)
    assert [row for row in rows if row.state in ("failed", "warning")] == []


def test_a_lock_on_prod_stops_prod_and_nobody_else(account: Account, planned: Planned) -> None:
    with held_lock(account.aws, context(account, "prod").environment.state_key):
        with pytest.raises(UserError, match="maria@ops"):
            planned("prod")
        assert planned("dev").changes


@pytest.mark.parametrize("name", SHIPPED)
def test_a_first_plan_creates_the_whole_fabric_and_loses_nothing(planned: Planned, name: str) -> None:
    plan = planned(name)
    assert plan.changes
    assert {change.action for change in plan.review.changes} <= {"create", "read"}
    assert plan.review.counts["create"] > 150
    assert plan.review.data_stores_at_risk == ()
    stores = {change.resource_type for change in plan.review.changes if holds_data(change.resource_type)}
    assert {"aws_db_instance", "aws_elasticache_replication_group", "aws_efs_file_system", "aws_s3_bucket"} <= stores


@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_environment_has_a_batch_fleet(planned: Planned, name: str) -> None:
    groups = {
        change.address for change in planned(name).review.changes if change.resource_type == "aws_autoscaling_group"
    }
    assert groups == {'module.fleet["interactive"].aws_autoscaling_group.this'}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_cost_estimate_counts_what_is_planned_and_knows_every_kind_of_resource(
    account: Account, planned: Planned, name: str
) -> None:
    where = context(account, name).paths
    found = values.read(where.terraform / "variables.tf", where.environments / f"{name}.tfvars")
    created = (change.resource_type for change in planned(name).review.changes if change.action == "create")
    assert disagreements(Counter(created), found, AGREED) == {}


@pytest.mark.parametrize(("name", "on_demand_percentage"), [("staging", 50), ("prod", 100)])
def test_spot_is_half_of_what_staging_adds_to_its_base_and_none_of_prod(
    account: Account, planned: Planned, name: str, on_demand_percentage: int
) -> None:
    group = resource(account, planned(name), name, 'module.fleet["interactive"].aws_autoscaling_group.this')
    distribution = group["mixed_instances_policy"][0]["instances_distribution"][0]
    assert distribution["on_demand_base_capacity"] >= 2
    assert distribution["on_demand_percentage_above_base_capacity"] == on_demand_percentage


def resource(account: Account, plan: SavedPlan, name: str, address: str) -> dict[str, Any]:
    """A resource's attributes in a saved plan."""
    attributes: dict[str, Any] = next(
        each["change"]["after"] for each in shown(account, plan, name) if each["address"] == address
    )
    return attributes


def shown(account: Account, plan: SavedPlan, name: str) -> list[dict[str, Any]]:
    """The resources of a saved plan with their changes, as Terraform shows them."""
    inside = context(account, name)
    added = {key: value for key, value in terraform_environment(inside).items() if value is not None}
    done = subprocess.run(
        ["terraform", "show", "-json", str(plan.path)],
        cwd=inside.paths.terraform,
        env={**inside.process_environment, **added, "TF_DATA_DIR": str(plan.path.parent / "terraform")},
        capture_output=True,
        text=True,
        check=True,
    )
    changes: list[dict[str, Any]] = json.loads(done.stdout)["resource_changes"]
    return changes


def test_no_two_environments_of_an_account_claim_the_same(account: Account, planned: Planned) -> None:
    """A name is an account's once, and so is a bucket's policy or notification and a setting of the whole account."""
    claimed: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for name in SHIPPED:
        for each in shown(account, planned(name), name):
            if each["mode"] != "managed":
                continue
            assert each["type"] not in OF_THE_ACCOUNT, each["address"]
            for key in NAMES & set(each["change"]["after"]):
                value = each["change"]["after"][key]
                if isinstance(value, str) and value and each["type"] not in NAMED_WITHIN_ANOTHER:
                    claimed[each["type"], key, value].add(name)
    assert len(claimed) > 200, "too few names to prove anything"
    twice = sorted(what for what, names in claimed.items() if len(names) > 1)
    assert not twice, twice


def test_each_environment_has_a_state_and_a_working_folder_of_its_own(account: Account, planned: Planned) -> None:
    assert len({context(account, name).environment.state_key for name in SHIPPED}) == len(SHIPPED)
    assert len({planned(name).path.parent for name in SHIPPED}) == len(SHIPPED)


def test_planning_leaves_no_state_no_lock_and_no_resource(account: Account, planned: Planned) -> None:
    for name in SHIPPED:
        planned(name)
    bucket = AGREED.state_bucket(account.aws.identity.account, account.aws.region)
    keys = [item["Key"] for item in account.aws.s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [AGREED.state["bootstrap_key"]]
    for name in SHIPPED:
        given = {f"parameter {AGREED.parameter(key, name)}" for key in ("image", "models")}
        assert set(leftovers.find(name, AGREED, account.aws)) == given


def test_a_saved_plan_can_be_read_by_its_owner_only(planned: Planned) -> None:
    assert {oct(planned(name).path.stat().st_mode & 0o777) for name in SHIPPED} == {"0o600"}
