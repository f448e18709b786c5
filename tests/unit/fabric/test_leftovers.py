"""The resources that an environment has left in AWS, without those of other environments."""

from __future__ import annotations

from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws, Identity
from ollama_gpu.core.contract import Contract
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.fabric.leftovers import belongs, environments_in, find
from tests.contexts import context_of

AGREED = contract.load(locate().contract)
PROJECT = AGREED.project
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"

OF_PROD = [
    f"{PROJECT}-prod",
    f"{PROJECT}-prod-interactive",
    f"alias/{PROJECT}-prod-data",
    f"{PROJECT}-prod/slow-chats",
    f"{PROJECT}-prod-uploads-123456789012-us-east-1",
    f"{ARN}:loadbalancer/app/{PROJECT}-prod/50dc6c495c0c9188",
    f"{ARN}:targetgroup/{PROJECT}-prod-interactive/50dc6c495c0c9188",
    f"arn:aws:sns:us-east-1:123456789012:{PROJECT}-prod-alarms",
    f"{PROJECT}-prod-weekly".replace("-", "_"),  # a restore testing plan
    *(AGREED.parameter(key, "prod") for key in AGREED.parameters),
    *(AGREED.secret(key, "prod") for key in AGREED.secrets),
    *(AGREED.log_group(key, "prod") for key in AGREED.log_groups),
]


@pytest.mark.parametrize("name", OF_PROD)
def test_every_form_of_a_name_belongs_to_its_environment(name: str) -> None:
    assert belongs(name, "prod", PROJECT)


@pytest.mark.parametrize("other", ["prod2", "production", "pro", "dev", "prod-eu"])
@pytest.mark.parametrize("name", OF_PROD)
def test_names_of_another_environment_do_not_belong(name: str, other: str) -> None:
    other_name = name.replace("prod", other)
    assert belongs(other_name, other, PROJECT, {"prod", other})
    assert not belongs(other_name, "prod", PROJECT, {"prod", other})
    assert not belongs(name, other, PROJECT, {"prod", other})


@pytest.mark.parametrize(
    "name",
    [
        "prod",
        "web-prod",
        f"{PROJECT}-image-builder-us-east-1",
        AGREED.state_bucket("123456789012", "us-east-1"),
        AGREED.artifact_bucket("123456789012", "us-east-1"),
        f"my{PROJECT}-prod",
    ],
)
def test_shared_and_foreign_names_do_not_belong(name: str) -> None:
    assert not belongs(name, "prod", PROJECT)


def test_name_with_a_further_dash_belongs_unless_a_longer_environment_exists() -> None:
    assert belongs(f"{PROJECT}-prod-eu", "prod", PROJECT)
    assert belongs(f"{PROJECT}-prod-eu", "prod", PROJECT, {"prod", "staging", "prod2"})


def test_environments_are_read_from_names_with_slashes() -> None:
    names = [
        AGREED.parameter("image", "prod"),
        AGREED.secret("cache", "prod-eu"),
        AGREED.log_group("gateway", "dev"),
        f"{PROJECT}-staging-interactive",
        "/another/test/thing",
        f"/another-{PROJECT}/test/thing",
    ]
    assert environments_in(names, PROJECT) == {"prod", "prod-eu", "dev"}


class Account:
    """A fake AWS and, at the same time, each of its clients; lists are empty unless given."""

    identity = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def client(self, _service: str) -> Account:
        return self

    def can_paginate(self, _operation: str) -> bool:
        return False

    def __getattr__(self, operation: str) -> Any:
        answer = self._answers.get(operation, {})
        return answer if callable(answer) else lambda **_: answer


def left(contract: Contract = AGREED, **answers: Any) -> list[str]:
    prod = settings.load(locate(), "prod")
    return find(context_of(prod, contract, cast(Aws, Account(**answers))))


def test_empty_account_has_no_leftovers() -> None:
    assert left() == []


def test_resources_of_an_environment_with_a_longer_name_are_not_leftovers() -> None:
    buckets = {"Buckets": [{"Name": f"{PROJECT}-prod-uploads"}, {"Name": f"{PROJECT}-prod-eu-uploads"}]}
    secrets = {"SecretList": [{"Name": AGREED.secret("cache", "prod-eu")}]}
    assert left(list_buckets=buckets, list_secrets=secrets) == [f"bucket {PROJECT}-prod-uploads"]


def test_file_system_without_a_name_is_ignored() -> None:
    systems = {"FileSystems": [{"FileSystemId": "fs-1"}, {"FileSystemId": "fs-2", "Name": f"{PROJECT}-prod-models"}]}
    assert left(describe_file_systems=systems) == [f"file system {PROJECT}-prod-models"]


def test_metric_alarms_and_composite_alarms_are_leftovers() -> None:
    alarms = {
        "MetricAlarms": [{"AlarmName": f"{PROJECT}-prod-queue"}],
        "CompositeAlarms": [{"AlarmName": f"{PROJECT}-prod-service-degraded"}],
    }
    assert left(describe_alarms=alarms) == [
        f"alarm {PROJECT}-prod-queue",
        f"composite alarm {PROJECT}-prod-service-degraded",
    ]


@pytest.mark.parametrize(
    ("state", "tags", "counts"),
    [
        ("Enabled", {"Project": PROJECT, "Environment": "prod"}, True),
        ("PendingDeletion", {"Project": PROJECT, "Environment": "prod"}, False),
        ("Enabled", {"Project": "another", "Environment": "prod"}, False),
        ("Enabled", {"Project": PROJECT, "Environment": "prod2"}, False),
        ("Enabled", {"Environment": "prod"}, False),
    ],
)
def test_kms_key_with_both_tags_counts_unless_pending_deletion(state: str, tags: dict[str, str], counts: bool) -> None:
    found = left(
        list_keys={"Keys": [{"KeyId": "k"}]},
        describe_key={"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": state}},
        list_resource_tags={"Tags": [{"TagKey": key, "TagValue": value} for key, value in tags.items()]},
    )
    assert found == (["KMS key k"] if counts else [])


def test_unreadable_key_is_named_and_does_not_hide_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    def describe_key(KeyId: str) -> dict[str, Any]:
        if KeyId == "foreign":
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeKey")
        return {"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": "Enabled"}}

    tags = [{"TagKey": "Project", "TagValue": PROJECT}, {"TagKey": "Environment", "TagValue": "prod"}]
    found = left(
        list_keys={"Keys": [{"KeyId": "foreign"}, {"KeyId": "ours"}]},
        describe_key=describe_key,
        list_resource_tags={"Tags": tags},
    )
    assert found == ["KMS key ours"]
    assert "left out: foreign" in capsys.readouterr().err


def test_other_error_of_a_key_is_raised() -> None:
    def describe_key(KeyId: str) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "KMSInternalException"}}, "DescribeKey")

    with pytest.raises(ClientError, match="KMSInternalException"):
        left(list_keys={"Keys": [{"KeyId": "k"}]}, describe_key=describe_key)


def test_database_of_a_restore_test_belongs_to_the_environment_of_its_subnets() -> None:
    tests = [
        {"DBInstanceIdentifier": f"awsbackup-restore-test-{name}", "DBSubnetGroup": {"DBSubnetGroupName": subnets}}
        for name, subnets in (("1", f"{PROJECT}-prod-database"), ("2", f"{PROJECT}-dev-database"), ("3", "default"))
    ]
    assert left(describe_db_instances={"DBInstances": tests}) == ["restore test awsbackup-restore-test-1"]


def test_snapshot_of_a_cache_is_found_by_its_name() -> None:
    snapshots = {"Snapshots": [{"SnapshotName": f"{PROJECT}-prod-cache-final"}, {"SnapshotName": "another"}]}
    assert left(describe_snapshots=snapshots) == [f"cache snapshot {PROJECT}-prod-cache-final"]


def test_certificate_is_found_by_its_tags() -> None:
    tags = [{"Key": "Project", "Value": PROJECT}, {"Key": "Environment", "Value": "prod"}]
    found = left(
        list_certificates={"CertificateSummaryList": [{"CertificateArn": "arn:aws:acm:us-east-1:1:certificate/c"}]},
        list_tags_for_certificate={"Tags": tags},
    )
    assert found == ["certificate arn:aws:acm:us-east-1:1:certificate/c"]


def test_budget_is_found_by_its_name() -> None:
    names = (f"{PROJECT}-prod-monthly", f"{PROJECT}-dev-monthly", "the-whole-account")
    assert left(describe_budgets={"Budgets": [{"BudgetName": name} for name in names]}) == [
        f"budget {PROJECT}-prod-monthly"
    ]


def test_tag_names_come_from_the_contract() -> None:
    renamed = AGREED.model_copy(update={"tags": {**AGREED.tags, "project": "Product", "environment": "Stage"}})
    tags = [{"Key": "Product", "Value": PROJECT}, {"Key": "Stage", "Value": "prod"}]
    answers: dict[str, dict[str, Any]] = {
        "list_certificates": {"CertificateSummaryList": [{"CertificateArn": "arn:aws:acm:us-east-1:1:certificate/c"}]},
        "list_tags_for_certificate": {"Tags": tags},
    }
    assert left(renamed, **answers) == ["certificate arn:aws:acm:us-east-1:1:certificate/c"]
    assert left(AGREED, **answers) == []
