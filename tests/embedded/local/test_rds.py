"""RDS: instances read back as requested, managed passwords are secrets, parameter groups have defaults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded.conftest import wait_until

Client = Callable[[str], Any]


def create(client: Client, name: str, **more: Any) -> dict[str, Any]:
    given = {"MasterUsername": "master", "ManageMasterUserPassword": True, **more}
    client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        EngineVersion="16.4",
        DBInstanceClass="db.m6g.large",
        AllocatedStorage=50,
        **given,
    )
    return describe(client, name)


def modify(client: Client, name: str, **settings: Any) -> None:
    """Modify an instance, and wait until RDS has applied it."""
    client("rds").modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **settings)
    changed = settings.get("NewDBInstanceIdentifier", name)
    wait_until(lambda: status(client, changed) == "available")


def status(client: Client, name: str) -> str | None:
    found = client("rds").describe_db_instances()["DBInstances"]
    return next((each["DBInstanceStatus"] for each in found if each["DBInstanceIdentifier"] == name), None)


def describe(client: Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return found


def test_instance_protection_settings_read_back(client: Client, name: str) -> None:
    requested = {
        "MultiAZ": True,
        "StorageEncrypted": True,
        "DeletionProtection": True,
        "CACertificateIdentifier": "rds-ca-rsa4096-g1",
        "BackupRetentionPeriod": 14,
        "CopyTagsToSnapshot": True,
        "EnablePerformanceInsights": True,
        "PerformanceInsightsRetentionPeriod": 31,
    }
    read = create(client, name, **requested)
    read["EnablePerformanceInsights"] = read["PerformanceInsightsEnabled"]
    assert {key: read[key] for key in requested} == requested


def test_automated_snapshots_are_deleted_with_renamed_instance(client: Client, name: str) -> None:
    create(client, name, BackupRetentionPeriod=7)
    modify(client, name, NewDBInstanceIdentifier=f"{name}-2")

    def kept() -> list[str]:
        found = client("rds").describe_db_snapshots()["DBSnapshots"]
        return [each["DBSnapshotIdentifier"] for each in found if name in each["DBSnapshotIdentifier"]]

    client("rds").create_db_snapshot(DBInstanceIdentifier=f"{name}-2", DBSnapshotIdentifier=f"{name}-manual")
    assert len(kept()) == 2
    client("rds").delete_db_instance(DBInstanceIdentifier=f"{name}-2", SkipFinalSnapshot=True)
    assert kept() == [f"{name}-manual"]


def test_protected_instance_cannot_be_deleted(client: Client, name: str) -> None:
    create(client, name, DeletionProtection=True)
    with pytest.raises(ClientError, match="disable deletion protection"):
        client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    modify(client, name, DeletionProtection=False)
    client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)


def test_each_instance_has_its_own_resource_id(client: Client, name: str) -> None:
    identifiers = {create(client, f"{name}-{index}")["DbiResourceId"] for index in range(2)}
    assert len(identifiers) == 2


def test_managed_password_is_secret_of_master_user(client: Client, name: str) -> None:
    secrets = []
    for index in range(2):
        arn = create(client, f"{name}-{index}")["MasterUserSecret"]["SecretArn"]
        secrets.append(json.loads(client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]))
    assert [secret["username"] for secret in secrets] == ["master", "master"]
    assert secrets[0]["password"] != secrets[1]["password"]
    assert len(secrets[0]["password"]) >= 20


def test_performance_insights_can_be_enabled_later(client: Client, name: str) -> None:
    assert create(client, name)["PerformanceInsightsEnabled"] is False
    modify(client, name, EnablePerformanceInsights=True)
    assert describe(client, name)["PerformanceInsightsEnabled"] is True


def test_second_modification_is_refused_until_first_ends(client: Client, name: str) -> None:
    create(client, name)
    rds = client("rds")

    def change(days: int) -> Any:
        return rds.modify_db_instance(DBInstanceIdentifier=name, BackupRetentionPeriod=days, ApplyImmediately=True)

    def refused() -> bool:
        """Modify twice. On a busy machine the first modification may end before the second request arrives."""
        wait_until(lambda: status(client, name) == "available")
        assert change(7)["DBInstance"]["DBInstanceStatus"] == "modifying"
        try:
            change(8)
        except ClientError as error:
            return error.response["Error"]["Code"] == "InvalidDBInstanceState"
        return False

    assert any(refused() for _ in range(10))
    wait_until(lambda: status(client, name) == "available")
    change(8)


def test_renamed_instance_keeps_its_name_until_rename_ends(client: Client, name: str) -> None:
    create(client, name)
    renamed = client("rds").modify_db_instance(
        DBInstanceIdentifier=name, NewDBInstanceIdentifier=f"{name}-2", ApplyImmediately=True
    )["DBInstance"]
    assert (renamed["DBInstanceStatus"], renamed["DBInstanceIdentifier"]) == ("renaming", name)
    wait_until(lambda: status(client, f"{name}-2") == "available")
    assert status(client, name) is None


def test_name_of_another_instance_is_refused(client: Client, name: str) -> None:
    for each in (name, f"{name}-2"):
        create(client, each)
    with pytest.raises(ClientError, match="DBInstanceAlreadyExists"):
        client("rds").modify_db_instance(DBInstanceIdentifier=name, NewDBInstanceIdentifier=f"{name}-2")


@pytest.fixture
def group(client: Client, name: str) -> str:
    client("rds").create_db_parameter_group(
        DBParameterGroupName=name, DBParameterGroupFamily="postgres16", Description="test"
    )
    return name


def parameter(client: Client, group: str, wanted: str) -> dict[str, Any]:
    listed = client("rds").describe_db_parameters(DBParameterGroupName=group)["Parameters"]
    found: dict[str, Any] = next(each for each in listed if each["ParameterName"] == wanted)
    return found


def change(client: Client, group: str, method: str, **values: str) -> None:
    parameters = [
        {"ParameterName": key.replace("__", "."), "ParameterValue": value, "ApplyMethod": method}
        for key, value in values.items()
    ]
    client("rds").modify_db_parameter_group(DBParameterGroupName=group, Parameters=parameters)


def test_parameter_source_is_engine_default_until_set(client: Client, group: str) -> None:
    assert parameter(client, group, "rds.force_ssl")["Source"] == "engine-default"
    change(client, group, "immediate", rds__force_ssl="0")
    read = parameter(client, group, "rds.force_ssl")
    assert (read["Source"], read["ParameterValue"]) == ("user", "0")


def test_static_parameter_requires_reboot(client: Client, group: str) -> None:
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        change(client, group, "immediate", shared_preload_libraries="pgaudit")
    change(client, group, "pending-reboot", shared_preload_libraries="pgaudit")
    assert parameter(client, group, "shared_preload_libraries")["ParameterValue"] == "pgaudit"


def test_parameter_can_be_reset(client: Client, group: str) -> None:
    change(client, group, "immediate", rds__force_ssl="0")
    reset = [{"ParameterName": "rds.force_ssl", "ApplyMethod": "immediate"}]
    client("rds").reset_db_parameter_group(DBParameterGroupName=group, Parameters=reset)
    assert parameter(client, group, "rds.force_ssl")["Source"] == "engine-default"


def test_parameter_group_in_use_cannot_be_deleted(client: Client, group: str) -> None:
    create(client, group, DBParameterGroupName=group)
    with pytest.raises(ClientError, match="InvalidDBParameterGroupState"):
        client("rds").delete_db_parameter_group(DBParameterGroupName=group)


def test_default_parameter_group_exists_before_first_use(client: Client) -> None:
    groups = client("rds").describe_db_parameter_groups(DBParameterGroupName="default.postgres17")
    assert groups["DBParameterGroups"][0]["DBParameterGroupFamily"] == "postgres17"
