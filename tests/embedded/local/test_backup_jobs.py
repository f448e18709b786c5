"""Backup and restore jobs of AWS Backup: content is restored, and invalid requests are rejected."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.environment.embedded_aws import HOST, Endpoint
from ollama_gpu.local.embedded_aws import control
from tests.embedded.conftest import wait_until
from tests.embedded.local.test_rds import modify

Client = Callable[[str], Any]

ROLE = "arn:aws:iam::123456789012:role/backup"


@pytest.fixture
def vault(client: Client, name: str) -> str:
    client("backup").create_backup_vault(BackupVaultName=name)
    return name


@pytest.fixture
def bucket(client: Client, name: str) -> str:
    client("s3").create_bucket(Bucket=name)
    client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def database(client: Client, name: str) -> str:
    created = client("rds").create_db_instance(
        DBInstanceIdentifier=name, Engine="postgres", EngineVersion="16.4", DBInstanceClass="db.m6g.large",
        AllocatedStorage=50, MasterUsername="master", ManageMasterUserPassword=True, MultiAZ=True, DBName="openwebui",
    )  # fmt: skip
    return str(created["DBInstance"]["DBInstanceArn"])


@pytest.fixture
def lab(endpoint: Endpoint) -> Iterator[Callable[..., int]]:
    """Report the result of a copy as the lab does. The lab counts as present during the test."""

    def put(path: str, content: Any) -> int:
        connection = HTTPConnection(HOST, endpoint.port, timeout=10)
        connection.request("PUT", path, json.dumps(content), {"Content-Type": "application/json"})
        return connection.getresponse().status

    def finish(job: str, succeeded: bool, message: str = "", size: int = 7) -> int:
        result = {"job": job, "succeeded": succeeded, "message": message, "bytes": size}
        return put(control.BACKUP_JOBS_PATH, [result])

    assert put(control.LAB_PATH, {"present": True}) == 204
    yield finish
    put(control.LAB_PATH, {"present": False})


def back_up(client: Client, vault: str, arn: str) -> dict[str, Any]:
    started = client("backup").start_backup_job(BackupVaultName=vault, ResourceArn=arn, IamRoleArn=ROLE)
    job: dict[str, Any] = client("backup").describe_backup_job(BackupJobId=started["BackupJobId"])
    return job


def restore(client: Client, point: str, metadata: dict[str, str]) -> dict[str, Any]:
    started = client("backup").start_restore_job(RecoveryPointArn=point, Metadata=metadata, IamRoleArn=ROLE)
    job: dict[str, Any] = client("backup").describe_restore_job(RestoreJobId=started["RestoreJobId"])
    return job


def test_restore_puts_back_missing_objects_and_keeps_existing_ones(client: Client, vault: str, bucket: str) -> None:
    s3, backup = client("s3"), client("backup")
    for key in ("lost", "marked", "kept"):
        s3.put_object(Bucket=bucket, Key=key, Body=f"{key} before".encode(), Metadata={"of": key})
    job = back_up(client, vault, f"arn:aws:s3:::{bucket}")
    assert (job["State"], job["BackupSizeInBytes"]) == (
        "COMPLETED",
        len("lost before" + "marked before" + "kept before"),
    )

    for version in s3.list_object_versions(Bucket=bucket, Prefix="lost")["Versions"]:
        s3.delete_object(Bucket=bucket, Key="lost", VersionId=version["VersionId"])
    s3.delete_object(Bucket=bucket, Key="marked")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept after")
    s3.put_object(Bucket=bucket, Key="new", Body=b"new after")

    metadata = backup.get_recovery_point_restore_metadata(
        BackupVaultName=vault, RecoveryPointArn=job["RecoveryPointArn"]
    )["RestoreMetadata"]
    failed = restore(client, job["RecoveryPointArn"], metadata)
    assert (failed["Status"], "does not allow ACLs" in failed["StatusMessage"]) == ("FAILED", True)
    metadata["RestoreACLs"] = "false"
    assert restore(client, job["RecoveryPointArn"], metadata)["Status"] == "COMPLETED"
    bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in ("lost", "marked", "kept", "new")}
    assert bodies == {"lost": b"lost before", "marked": b"marked before", "kept": b"kept after", "new": b"new after"}
    assert s3.head_object(Bucket=bucket, Key="lost")["Metadata"] == {"of": "lost"}


def test_acls_are_restored_into_bucket_that_has_them(client: Client, vault: str, bucket: str) -> None:
    client("s3").put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )
    point = back_up(client, vault, f"arn:aws:s3:::{bucket}")["RecoveryPointArn"]
    assert restore(client, point, {"DestinationBucketName": bucket})["Status"] == "COMPLETED"


@pytest.fixture
def continuous(client: Client, vault: str) -> Callable[[str], str]:
    """Back up a resource continuously. Returns the ARN of its recovery point."""

    def begin(arn: str) -> str:
        rule = {"RuleName": "continuous", "TargetBackupVaultName": vault, "EnableContinuousBackup": True}
        backup = client("backup")
        plan = backup.create_backup_plan(BackupPlan={"BackupPlanName": vault, "Rules": [rule]})["BackupPlanId"]
        selection = {"SelectionName": "stores", "IamRoleArn": ROLE, "Resources": [arn]}
        backup.create_backup_selection(BackupPlanId=plan, BackupSelection=selection)
        [point] = backup.list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"]
        return str(point["RecoveryPointArn"])

    return begin


def test_continuous_backup_of_bucket_is_restored_as_it_was_at_time(
    client: Client, bucket: str, continuous: Callable[[str], str]
) -> None:
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key="lost", Body=b"before")
    point = continuous(f"arn:aws:s3:::{bucket}")
    moment = s3.head_object(Bucket=bucket, Key="lost")["LastModified"] + timedelta(seconds=1)
    wait_until(lambda: datetime.now(UTC) > moment + timedelta(seconds=1))
    s3.put_object(Bucket=bucket, Key="later", Body=b"after")
    for key in ("lost", "later"):
        s3.delete_object(Bucket=bucket, Key=key)
    metadata = {"DestinationBucketName": bucket, "RestoreACLs": "false"}
    failed = restore(client, point, metadata)
    assert (failed["Status"], "requires RestoreTime" in failed["StatusMessage"]) == ("FAILED", True)
    done = restore(client, point, {**metadata, "RestoreTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"})
    assert done["Status"] == "COMPLETED"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["lost"]


def test_continuous_backup_of_database_needs_time(
    client: Client, database: str, continuous: Callable[[str], str]
) -> None:
    name, point = database.split(":")[-1], continuous(database)
    target = {"DBInstanceIdentifier": f"{name}-restored"}
    assert restore(client, point, target)["Status"] == "FAILED"
    done = restore(client, point, {**target, "UseLatestRestorableTime": "true"})
    assert (done["Status"], done["CreatedResourceArn"]) == ("COMPLETED", f"{database}-restored"), done
    restored = client("rds").describe_db_instances(**target)["DBInstances"][0]
    assert restored["DBParameterGroups"][0]["DBParameterGroupName"] == "default.postgres16"


def test_lab_cannot_restore_database_to_time(
    client: Client, database: str, continuous: Callable[[str], str], lab: Callable[..., int]
) -> None:
    target = {"DBInstanceIdentifier": f"{database.split(':')[-1]}-restored", "UseLatestRestorableTime": "true"}
    failed = restore(client, continuous(database), target)
    assert (failed["Status"], "transaction log" in failed["StatusMessage"]) == ("FAILED", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"DBName": "openwebui"}, "DBName must be null"),
        ({"Iops": "3000"}, "storage size less than 400"),
        ({"StorageThroughput": "125"}, "storage size less than 400"),
    ],
)
def test_parameter_that_postgresql_does_not_take_fails_restore(
    client: Client, vault: str, database: str, given: dict[str, str], message: str
) -> None:
    point = back_up(client, vault, database)["RecoveryPointArn"]
    failed = restore(client, point, {"DBInstanceIdentifier": f"{vault}-restored", **given})
    assert (failed["Status"], message in failed["StatusMessage"]) == ("FAILED", True)


def test_backup_of_unversioned_bucket_is_rejected(client: Client, vault: str, name: str) -> None:
    client("s3").create_bucket(Bucket=f"{name}-plain")
    with pytest.raises(ClientError, match="versioning"):
        back_up(client, vault, f"arn:aws:s3:::{name}-plain")


def test_restored_database_can_replace_old_one(client: Client, vault: str, database: str) -> None:
    rds, backup, name = client("rds"), client("backup"), database.split(":")[-1]
    job = back_up(client, vault, database)
    [point] = backup.list_recovery_points_by_backup_vault(BackupVaultName=vault, ByResourceType="RDS")["RecoveryPoints"]
    assert point["RecoveryPointArn"] == job["RecoveryPointArn"]
    assert rds.describe_db_snapshots(DBInstanceIdentifier=name, SnapshotType="awsbackup")["DBSnapshots"]

    metadata = backup.get_recovery_point_restore_metadata(
        BackupVaultName=vault, RecoveryPointArn=point["RecoveryPointArn"]
    )["RestoreMetadata"]
    metadata["DBInstanceIdentifier"] = f"{name}-restored"
    failed = restore(client, point["RecoveryPointArn"], metadata)
    assert (failed["Status"], "availability zone" in failed["StatusMessage"]) == ("FAILED", True)
    del metadata["AvailabilityZone"], metadata["DBName"]
    done = restore(client, point["RecoveryPointArn"], metadata)
    assert done["Status"] == "COMPLETED", done.get("StatusMessage")
    assert done["CreatedResourceArn"] == f"{database}-restored"

    restored = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-restored")["DBInstances"][0]
    assert "MasterUserSecret" not in restored
    for _ in range(2):
        modify(client, f"{name}-restored", ManageMasterUserPassword=True)
        managed = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-restored")["DBInstances"][0]
        assert managed["MasterUserSecret"] == restored.setdefault("MasterUserSecret", managed["MasterUserSecret"])

    old = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    modify(client, name, NewDBInstanceIdentifier=f"{name}-old")
    modify(client, f"{name}-restored", NewDBInstanceIdentifier=name)
    new = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    assert new["Endpoint"] == old["Endpoint"]
    assert new["DbiResourceId"] != old["DbiResourceId"]
    same = ("DBName", "MasterUsername", "DBInstanceClass", "MultiAZ", "AllocatedStorage", "EngineVersion")
    assert [new[key] for key in same] == [old[key] for key in same]
    assert new["MasterUserSecret"]["SecretArn"] != old["MasterUserSecret"]["SecretArn"]


def test_deleted_database_is_restored_from_recovery_point(client: Client, vault: str, database: str) -> None:
    name = database.split(":")[-1]
    point = back_up(client, vault, database)["RecoveryPointArn"]
    client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    done = restore(client, point, {"DBInstanceIdentifier": name})
    assert (done["Status"], done["CreatedResourceArn"]) == ("COMPLETED", database)


def test_jobs_of_database_end_with_report_of_lab(
    client: Client, vault: str, database: str, lab: Callable[..., int]
) -> None:
    backup = client("backup")
    job = back_up(client, vault, database)
    assert job["State"] == "RUNNING"
    assert backup.list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"] == []
    [running] = [
        each for each in backup.list_backup_jobs(ByState="RUNNING", ByResourceType="RDS")["BackupJobs"]
        if each["ResourceArn"] == database
    ]  # fmt: skip
    assert lab(running["BackupJobId"], True) == 204
    ended = backup.describe_backup_job(BackupJobId=running["BackupJobId"])
    assert (ended["State"], ended["BackupSizeInBytes"]) == ("COMPLETED", 7)

    target = {"DBInstanceIdentifier": f"{database.split(':')[-1]}-restored"}
    running_restore = restore(client, ended["RecoveryPointArn"], target)
    assert running_restore["Status"] == "RUNNING"
    described = client("rds").describe_db_instances(**target)["DBInstances"][0]
    assert described["DBInstanceStatus"] == "creating"
    assert lab(running_restore["RestoreJobId"], True) == 204
    assert backup.describe_restore_job(RestoreJobId=running_restore["RestoreJobId"])["Status"] == "COMPLETED"
    assert client("rds").describe_db_instances(**target)["DBInstances"][0]["DBInstanceStatus"] == "available"


def test_failed_copy_in_lab_fails_job_without_recovery_point(
    client: Client, vault: str, database: str, lab: Callable[..., int]
) -> None:
    job = back_up(client, vault, database)["BackupJobId"]
    assert lab(job, False, "the disk is full") == 204
    ended = client("backup").describe_backup_job(BackupJobId=job)
    assert (ended["State"], ended["StatusMessage"]) == ("FAILED", "the disk is full")
    assert client("backup").list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"] == []
    assert lab(job, True) == 400


def test_vault_with_recovery_points_cannot_be_deleted(client: Client, vault: str, database: str) -> None:
    backup = client("backup")
    point = back_up(client, vault, database)["RecoveryPointArn"]
    with pytest.raises(ClientError, match="contains recovery points"):
        backup.delete_backup_vault(BackupVaultName=vault)
    backup.delete_recovery_point(BackupVaultName=vault, RecoveryPointArn=point)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        backup.describe_recovery_point(BackupVaultName=vault, RecoveryPointArn=point)
    assert (
        client("rds").describe_db_snapshots(SnapshotType="awsbackup", DBInstanceIdentifier=vault)["DBSnapshots"] == []
    )
    backup.delete_backup_vault(BackupVaultName=vault)
