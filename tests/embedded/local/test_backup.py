"""AWS Backup: plans, selections, vaults and restore testing read back, and invalid requests are rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]

ROLE = "arn:aws:iam::123456789012:role/backup"


@pytest.fixture
def vault(client: Client, name: str) -> str:
    client("backup").create_backup_vault(BackupVaultName=name, BackupVaultTags={"Project": "x"})
    return name


@pytest.fixture
def plan(client: Client, vault: str) -> str:
    created = client("backup").create_backup_plan(BackupPlan=document(vault, vault), BackupPlanTags={"Project": "x"})
    identifier: str = created["BackupPlanId"]
    return identifier


def document(name: str, vault: str, schedule: str = "cron(0 2 * * ? *)") -> dict[str, Any]:
    rule = {"RuleName": "daily", "TargetBackupVaultName": vault, "ScheduleExpression": schedule}
    return {"BackupPlanName": name, "Rules": [rule]}


def test_tags_of_vaults_and_plans_read_back(client: Client, vault: str, plan: str) -> None:
    backup = client("backup")
    arns = [
        backup.describe_backup_vault(BackupVaultName=vault)["BackupVaultArn"],
        backup.get_backup_plan(BackupPlanId=plan)["BackupPlanArn"],
    ]
    assert [backup.list_tags(ResourceArn=arn)["Tags"] for arn in arns] == [{"Project": "x"}] * 2


def test_plan_can_be_updated(client: Client, vault: str, plan: str) -> None:
    backup = client("backup")
    before = backup.get_backup_plan(BackupPlanId=plan)["VersionId"]
    updated = backup.update_backup_plan(
        BackupPlanId=plan, BackupPlan=document(f"{vault}-new", vault, "cron(0 4 * * ? *)")
    )
    assert updated["BackupPlanId"] == plan
    read = backup.get_backup_plan(BackupPlanId=plan)
    assert read["VersionId"] == updated["VersionId"] != before
    assert read["BackupPlan"]["Rules"][0]["ScheduleExpression"] == "cron(0 4 * * ? *)"


def test_selection_reads_back_and_protects_its_plan(client: Client, plan: str) -> None:
    backup = client("backup")
    selection = {"SelectionName": "databases", "IamRoleArn": ROLE, "Resources": ["arn:aws:rds:*:*:db:*"]}
    identifier = backup.create_backup_selection(BackupPlanId=plan, BackupSelection=selection)["SelectionId"]
    read = backup.get_backup_selection(BackupPlanId=plan, SelectionId=identifier)
    assert read["BackupSelection"] == selection
    [listed] = backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]
    assert (listed["SelectionName"], listed["SelectionId"]) == ("databases", identifier)
    with pytest.raises(ClientError, match="InvalidRequestException"):
        backup.delete_backup_plan(BackupPlanId=plan)
    backup.delete_backup_selection(BackupPlanId=plan, SelectionId=identifier)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.get_backup_selection(BackupPlanId=plan, SelectionId=identifier)


def test_name_of_deleted_plan_can_be_reused(client: Client, vault: str, plan: str) -> None:
    client("backup").delete_backup_plan(BackupPlanId=plan)
    again = client("backup").create_backup_plan(BackupPlan=document(vault, vault))
    assert again["BackupPlanId"] != plan


def test_vault_access_policy_reads_back(client: Client, vault: str) -> None:
    backup = client("backup")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.get_backup_vault_access_policy(BackupVaultName=vault)
    backup.put_backup_vault_access_policy(BackupVaultName=vault, Policy=policy)
    assert backup.get_backup_vault_access_policy(BackupVaultName=vault)["Policy"] == policy
    backup.delete_backup_vault_access_policy(BackupVaultName=vault)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.get_backup_vault_access_policy(BackupVaultName=vault)


def test_vault_notifications_read_back(client: Client, vault: str) -> None:
    backup = client("backup")
    topic = "arn:aws:sns:us-east-1:123456789012:alerts"
    backup.put_backup_vault_notifications(
        BackupVaultName=vault, SNSTopicArn=topic, BackupVaultEvents=["BACKUP_JOB_FAILED"]
    )
    read = backup.get_backup_vault_notifications(BackupVaultName=vault)
    assert (read["SNSTopicArn"], read["BackupVaultEvents"]) == (topic, ["BACKUP_JOB_FAILED"])
    backup.delete_backup_vault_notifications(BackupVaultName=vault)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.get_backup_vault_notifications(BackupVaultName=vault)


def test_new_vault_has_no_recovery_points(client: Client, vault: str) -> None:
    points = client("backup").list_recovery_points_by_backup_vault(BackupVaultName=vault)
    assert points["RecoveryPoints"] == []


def test_restore_testing_plan_and_selection_read_back(client: Client, name: str) -> None:
    backup = client("backup")
    points = {
        "Algorithm": "LATEST_WITHIN_WINDOW",
        "IncludeVaults": ["*"],
        "RecoveryPointTypes": ["SNAPSHOT"],
        "SelectionWindowDays": 7,
    }
    wanted = {"RestoreTestingPlanName": name, "ScheduleExpression": "cron(0 6 ? * SUN *)"}
    created = backup.create_restore_testing_plan(
        RestoreTestingPlan={**wanted, "RecoveryPointSelection": points}, Tags={"Project": "x"}
    )
    read = backup.get_restore_testing_plan(RestoreTestingPlanName=name)["RestoreTestingPlan"]
    assert read["RecoveryPointSelection"] == {**points, "ExcludeVaults": []}
    assert read["RestoreTestingPlanArn"] == created["RestoreTestingPlanArn"]
    assert backup.list_tags(ResourceArn=created["RestoreTestingPlanArn"])["Tags"] == {"Project": "x"}
    names = [each["RestoreTestingPlanName"] for each in backup.list_restore_testing_plans()["RestoreTestingPlans"]]
    assert name in names

    selection = {
        "RestoreTestingSelectionName": "database",
        "ProtectedResourceType": "RDS",
        "IamRoleArn": ROLE,
        "ProtectedResourceArns": ["*"],
    }
    backup.create_restore_testing_selection(RestoreTestingPlanName=name, RestoreTestingSelection=selection)
    key = {"RestoreTestingPlanName": name, "RestoreTestingSelectionName": "database"}
    backup.update_restore_testing_selection(
        **key, RestoreTestingSelection={"IamRoleArn": ROLE, "ValidationWindowHours": 4}
    )
    stored = backup.get_restore_testing_selection(**key)["RestoreTestingSelection"]
    assert stored.items() >= {**selection, "ValidationWindowHours": 4}.items()
    listed = backup.list_restore_testing_selections(RestoreTestingPlanName=name)["RestoreTestingSelections"]
    assert [each["RestoreTestingSelectionName"] for each in listed] == ["database"]

    with pytest.raises(ClientError, match="InvalidRequestException"):
        backup.delete_restore_testing_plan(RestoreTestingPlanName=name)
    backup.delete_restore_testing_selection(**key)
    backup.delete_restore_testing_plan(RestoreTestingPlanName=name)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.get_restore_testing_plan(RestoreTestingPlanName=name)


def test_restore_testing_plan_can_be_rescheduled(client: Client, name: str) -> None:
    backup = client("backup")
    plan = {
        "RestoreTestingPlanName": name,
        "ScheduleExpression": "cron(0 6 ? * SUN *)",
        "RecoveryPointSelection": {"Algorithm": "RANDOM_WITHIN_WINDOW"},
    }
    backup.create_restore_testing_plan(RestoreTestingPlan=plan)
    backup.update_restore_testing_plan(
        RestoreTestingPlanName=name, RestoreTestingPlan={"ScheduleExpression": "cron(0 7 ? * SUN *)"}
    )
    read = backup.get_restore_testing_plan(RestoreTestingPlanName=name)["RestoreTestingPlan"]
    assert read["ScheduleExpression"] == "cron(0 7 ? * SUN *)"
    assert read["RecoveryPointSelection"]["Algorithm"] == "RANDOM_WITHIN_WINDOW"
