"""KMS key rotation, versions of secrets, service quotas, hosted zone, EventBridge to log groups."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded.conftest import wait_until

Client = Callable[[str], Any]


def test_key_rotation_period_reads_back(client: Client) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 180)


def test_secret_value_is_version_with_awscurrent(client: Client, name: str) -> None:
    secrets = client("secretsmanager")
    first = secrets.create_secret(Name=name, SecretString="one")["VersionId"]
    second = secrets.put_secret_value(SecretId=name, SecretString="two")["VersionId"]
    label = {"SecretId": name, "VersionStage": "AWSCURRENT"}
    secrets.update_secret_version_stage(**label, RemoveFromVersionId=second, MoveToVersionId=first)
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "one"
    assert secrets.get_secret_value(SecretId=name, VersionId=second)["SecretString"] == "two"
    secrets.update_secret_version_stage(**label, RemoveFromVersionId=first, MoveToVersionId=second)
    assert secrets.get_secret_value(SecretId=name)["SecretString"] == "two"


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("L-DB2E81BA", "Running On-Demand G and VT instances", 768.0),
        ("L-3819A6DF", "All G and VT Spot Instance Requests", 768.0),
        ("L-417A185B", "Running On-Demand P instances", 128.0),
        ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 128.0),
    ],
)
def test_quotas_of_accelerated_instances(client: Client, code: str, name: str, value: float) -> None:
    quotas = client("service-quotas")
    quota = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]
    assert (quota["QuotaName"], quota["Value"]) == (name, value)
    assert quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"] == quota


def test_unknown_quota_is_aws_error(client: Client) -> None:
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-00000000")


def test_account_has_public_hosted_zone(client: Client) -> None:
    [zone] = client("route53").list_hosted_zones_by_name(DNSName="ollama-gpu.test")["HostedZones"]
    assert (zone["Name"], zone["Config"]["PrivateZone"]) == ("ollama-gpu.test.", False)


def test_deleted_record_can_be_created_again(client: Client, name: str) -> None:
    [zone] = client("route53").list_hosted_zones_by_name(DNSName="ollama-gpu.test")["HostedZones"]

    def change(action: str, label: str) -> None:
        target = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": f"{name}.amazonaws.com", "EvaluateTargetHealth": True}
        record = {"Name": f"{label}.ollama-gpu.test", "Type": "A", "AliasTarget": target}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        client("route53").change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch=batch)

    first, later = f"a-{name}", f"b-{name}"
    for label in (first, later):
        change("CREATE", label)
    change("DELETE", first)
    change("CREATE", first)
    with pytest.raises(ClientError, match="already exists"):
        change("CREATE", first)
    for label in (first, later):
        change("DELETE", label)


def test_matching_event_reaches_log_group(client: Client, name: str) -> None:
    group = f"/aws/events/{name}"
    client("logs").create_log_group(logGroupName=group)
    arn = client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"].removesuffix(":*")
    events = client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "log", "Arn": arn}])
    assert events.list_targets_by_rule(Rule=name)["Targets"] == [{"Id": "log", "Arn": arn}]
    events.put_events(Entries=[{"Source": name, "DetailType": "launch", "Detail": json.dumps({"cause": "why"})}])
    found = wait_until(lambda: client("logs").filter_log_events(logGroupName=group)["events"])
    assert json.loads(found[0]["message"])["detail"] == {"cause": "why"}
