"""The shipped environments dev, staging and prod: each plans on a bootstrapped account, and none affects another."""

from __future__ import annotations

import functools
import json
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import images, settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import environment_variables
from ollama_gpu.fabric import leftovers, preflight
from ollama_gpu.fabric.fabric import Fabric, SavedPlan, terraform_environment
from ollama_gpu.planning import resources
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform import values
from ollama_gpu.terraform.progress import NoProgress
from ollama_gpu.terraform.review import holds_data
from tests.fabric.conftest import Account
from tests.fabric.paid import unknown

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
"""Their names are unique only within a group, a role or a plan."""
ACCOUNT_WIDE = {
    *("aws_ebs_encryption_by_default", "aws_ebs_default_kms_key", "aws_s3_account_public_access_block"),
    *("aws_backup_region_settings", "aws_backup_global_settings", "aws_ec2_instance_metadata_defaults"),
    *("aws_iam_account_password_policy", "aws_iam_account_alias", "aws_iam_service_linked_role"),
    *("aws_ssm_service_setting", "aws_guardduty_detector", "aws_securityhub_account"),
}
"""Settings that exist once per account and region, so that no environment may manage them."""


def context(account: Account, name: str) -> Context:
    """The context of an environment in the bootstrapped AWS, as `make env` would configure a shell."""
    where = Paths(locate().repository, account.driver.work)
    variables = environment_variables(account.endpoint, account.aws.region)
    return Context(
        where,
        settings.load(where, name),
        AGREED,
        account.aws,
        exports={key: value for key, value in variables.items() if value is not None},
        unset=tuple(key for key, value in variables.items() if value is None),
    )


@pytest.fixture(scope="module")
def account(bootstrapped: Account) -> Account:
    """The bootstrapped account with the resources that the shipped variables name: zones, images and model sets."""
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
def test_preflight_passes_with_the_shipped_variables(account: Account, name: str) -> None:
    rows = preflight.run(context(account, name))
    assert [row for row in rows if row.state in ("failed", "warning")] == []


def test_a_lock_on_prod_blocks_prod_only(account: Account, planned: Planned) -> None:
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
def test_cost_estimate_plans_the_same_resources_as_a_deploy_and_knows_every_type(
    account: Account, planned: Planned, name: str
) -> None:
    inside = context(account, name)
    file = inside.environment.variables_file
    found = values.read(inside.paths.terraform / "variables.tf", file)
    estimated = Counter(kind for kind, _ in resources.plan(inside.paths, file, found))
    assert estimated == Counter(
        change.resource_type for change in planned(name).review.changes if change.action == "create"
    )
    assert unknown(estimated) == []


@pytest.mark.parametrize(("name", "on_demand_percentage"), [("staging", 50), ("prod", 100)])
def test_staging_uses_spot_for_half_above_its_base_and_prod_none(
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
    """The resources of a saved plan with their changes, from `terraform show`."""
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


def test_no_two_environments_of_an_account_claim_the_same_name_or_setting(account: Account, planned: Planned) -> None:
    """Names are unique in an account, and so are a bucket's policy and notification, and account-wide settings."""
    claimed: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for name in SHIPPED:
        for each in shown(account, planned(name), name):
            if each["mode"] != "managed":
                continue
            assert each["type"] not in ACCOUNT_WIDE, each["address"]
            for key in NAMES & set(each["change"]["after"]):
                value = each["change"]["after"][key]
                if isinstance(value, str) and value and each["type"] not in NAMED_WITHIN_ANOTHER:
                    claimed[each["type"], key, value].add(name)
    assert len(claimed) > 200, "too few names to prove anything"
    twice = sorted(what for what, names in claimed.items() if len(names) > 1)
    assert not twice, twice


def test_each_environment_has_a_separate_state_and_working_folder(account: Account, planned: Planned) -> None:
    assert len({context(account, name).environment.state_key for name in SHIPPED}) == len(SHIPPED)
    assert len({planned(name).path.parent for name in SHIPPED}) == len(SHIPPED)


def test_planning_leaves_no_state_lock_or_resource(account: Account, planned: Planned) -> None:
    for name in SHIPPED:
        planned(name)
    bucket = AGREED.state_bucket(account.aws.identity.account, account.aws.region)
    keys = [item["Key"] for item in account.aws.s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [AGREED.state["bootstrap_key"]]
    for name in SHIPPED:
        given = {f"parameter {AGREED.parameter(key, name)}" for key in ("image", "models")}
        assert set(leftovers.find(context(account, name))) == given


def test_only_the_owner_can_read_a_saved_plan(planned: Planned) -> None:
    assert {oct(planned(name).path.stat().st_mode & 0o777) for name in SHIPPED} == {"0o600"}
