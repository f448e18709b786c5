"""Which environment a name in AWS belongs to: another one's resources must never count as left over."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ollama_gpu import contract
from ollama_gpu.aws import Aws, Identity
from ollama_gpu.leftovers import belongs, environments_in, find
from ollama_gpu.paths import locate

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
def test_every_form_of_a_name_is_recognised(name: str) -> None:
    assert belongs(name, "prod", PROJECT)


@pytest.mark.parametrize("other", ["prod2", "production", "pro", "dev", "prod-eu"])
@pytest.mark.parametrize("name", OF_PROD)
def test_another_environments_names_are_its_own(name: str, other: str) -> None:
    theirs = name.replace("prod", other)
    assert belongs(theirs, other, PROJECT, {"prod", other})
    assert not belongs(theirs, "prod", PROJECT, {"prod", other})
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
def test_what_is_shared_or_somebody_elses_is_not_ours(name: str) -> None:
    assert not belongs(name, "prod", PROJECT)


def test_a_dash_belongs_to_the_name_where_no_longer_environment_is_known() -> None:
    assert belongs(f"{PROJECT}-prod-eu", "prod", PROJECT)
    assert belongs(f"{PROJECT}-prod-eu", "prod", PROJECT, {"prod", "staging", "prod2"})


def test_the_accounts_environments_are_read_from_the_names_that_slashes_delimit() -> None:
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
    """Stands for AWS and for each of its clients: a list is empty unless it is given."""

    identity = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")

    def __init__(self, **answers: dict[str, Any]) -> None:
        self._answers = answers

    def client(self, _service: str) -> Account:
        return self

    def can_paginate(self, _operation: str) -> bool:
        return False

    def __getattr__(self, operation: str) -> Any:
        return lambda **_: self._answers.get(operation, {})


def left(**answers: dict[str, Any]) -> list[str]:
    return find("prod", AGREED, cast(Aws, Account(**answers)))


def test_an_empty_account_has_nothing_left() -> None:
    assert left() == []


def test_a_neighbour_that_the_walk_meets_keeps_what_is_its_own() -> None:
    buckets = {"Buckets": [{"Name": f"{PROJECT}-prod-uploads"}, {"Name": f"{PROJECT}-prod-eu-uploads"}]}
    secrets = {"SecretList": [{"Name": AGREED.secret("cache", "prod-eu")}]}
    assert left(list_buckets=buckets, list_secrets=secrets) == [f"bucket {PROJECT}-prod-uploads"]


def test_a_file_system_without_a_name_is_passed_over() -> None:
    systems = {"FileSystems": [{"FileSystemId": "fs-1"}, {"FileSystemId": "fs-2", "Name": f"{PROJECT}-prod-models"}]}
    assert left(describe_file_systems=systems) == [f"file system {PROJECT}-prod-models"]


def test_plain_and_composite_alarms_count() -> None:
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
def test_a_key_counts_by_both_tags_until_its_deletion_is_scheduled(
    state: str, tags: dict[str, str], counts: bool
) -> None:
    found = left(
        list_keys={"Keys": [{"KeyId": "k"}]},
        describe_key={"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": state}},
        list_resource_tags={"Tags": [{"TagKey": key, "TagValue": value} for key, value in tags.items()]},
    )
    assert found == (["KMS key k"] if counts else [])


def test_a_certificate_counts_by_its_tags_since_its_name_is_a_domain() -> None:
    tags = [{"Key": "Project", "Value": PROJECT}, {"Key": "Environment", "Value": "prod"}]
    found = left(
        list_certificates={"CertificateSummaryList": [{"CertificateArn": "arn:aws:acm:us-east-1:1:certificate/c"}]},
        list_tags_for_certificate={"Tags": tags},
    )
    assert found == ["certificate arn:aws:acm:us-east-1:1:certificate/c"]


def test_a_budget_counts_by_its_name() -> None:
    names = (f"{PROJECT}-prod-monthly", f"{PROJECT}-dev-monthly", "the-whole-account")
    assert left(describe_budgets={"Budgets": [{"BudgetName": name} for name in names]}) == [
        f"budget {PROJECT}-prod-monthly"
    ]


def test_the_tags_that_are_looked_for_are_the_contracts() -> None:
    renamed = AGREED.model_copy(update={"tags": {**AGREED.tags, "project": "Product", "environment": "Stage"}})
    theirs = [{"Key": "Product", "Value": PROJECT}, {"Key": "Stage", "Value": "prod"}]
    account = Account(
        list_certificates={"CertificateSummaryList": [{"CertificateArn": "arn:aws:acm:us-east-1:1:certificate/c"}]},
        list_tags_for_certificate={"Tags": theirs},
    )
    assert find("prod", renamed, cast(Aws, account)) == ["certificate arn:aws:acm:us-east-1:1:certificate/c"]
    assert find("prod", AGREED, cast(Aws, account)) == []
