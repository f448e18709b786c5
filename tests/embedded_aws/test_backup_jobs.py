"""AWS Backup on demand: what is backed up comes back with its content, and what AWS refuses is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.embedded_aws import control
from ollama_gpu.embedded_aws.process import HOST, Endpoint

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
    made = client("rds").create_db_instance(
        DBInstanceIdentifier=name, Engine="postgres", EngineVersion="16.4", DBInstanceClass="db.m6g.large",
        AllocatedStorage=50, MasterUsername="master", ManageMasterUserPassword=True, MultiAZ=True, DBName="openwebui",
    )  # fmt: skip
    return str(made["DBInstance"]["DBInstanceArn"])


@pytest.fixture
def lab(endpoint: Endpoint) -> Iterator[Callable[..., int]]:
    """Says how a copy went, as the lab does; a world is present meanwhile."""

    def put(path: str, said: Any) -> int:
        connection = HTTPConnection(HOST, endpoint.port, timeout=10)
        connection.request("PUT", path, json.dumps(said), {"Content-Type": "application/json"})
        return connection.getresponse().status

    def settle(job: str, succeeded: bool, message: str = "", size: int = 7) -> int:
        said = {"job": job, "succeeded": succeeded, "message": message, "bytes": size}
        return put(control.BACKUP_JOBS_PATH, [said])

    assert put(control.WORLD_PATH, {"present": True}) == 204
    yield settle
    put(control.WORLD_PATH, {"present": False})


def back_up(client: Client, vault: str, arn: str) -> dict[str, Any]:
    started = client("backup").start_backup_job(BackupVaultName=vault, ResourceArn=arn, IamRoleArn=ROLE)
    job: dict[str, Any] = client("backup").describe_backup_job(BackupJobId=started["BackupJobId"])
    return job


def restore(client: Client, point: str, metadata: dict[str, str]) -> dict[str, Any]:
    started = client("backup").start_restore_job(RecoveryPointArn=point, Metadata=metadata, IamRoleArn=ROLE)
    job: dict[str, Any] = client("backup").describe_restore_job(RestoreJobId=started["RestoreJobId"])
    return job


def test_a_buckets_lost_objects_come_back_and_those_that_are_there_stay(
    client: Client, vault: str, bucket: str
) -> None:
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
    assert restore(client, job["RecoveryPointArn"], metadata)["Status"] == "COMPLETED"
    bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in ("lost", "marked", "kept", "new")}
    assert bodies == {"lost": b"lost before", "marked": b"marked before", "kept": b"kept after", "new": b"new after"}
    assert s3.head_object(Bucket=bucket, Key="lost")["Metadata"] == {"of": "lost"}


def test_a_bucket_without_versions_is_refused(client: Client, vault: str, name: str) -> None:
    client("s3").create_bucket(Bucket=f"{name}-plain")
    with pytest.raises(ClientError, match="versioning"):
        back_up(client, vault, f"arn:aws:s3:::{name}-plain")


def test_a_database_is_restored_beside_the_old_one_and_takes_its_name(
    client: Client, vault: str, database: str
) -> None:
    rds, backup, name = client("rds"), client("backup"), database.split(":")[-1]
    job = back_up(client, vault, database)
    [point] = backup.list_recovery_points_by_backup_vault(BackupVaultName=vault, ByResourceType="RDS")["RecoveryPoints"]
    assert point["RecoveryPointArn"] == job["RecoveryPointArn"]
    assert rds.describe_db_snapshots(DBInstanceIdentifier=name, SnapshotType="awsbackup")["DBSnapshots"]

    metadata = backup.get_recovery_point_restore_metadata(
        BackupVaultName=vault, RecoveryPointArn=point["RecoveryPointArn"]
    )["RestoreMetadata"]
    metadata["DBInstanceIdentifier"] = f"{name}-restored"
    refused = restore(client, point["RecoveryPointArn"], metadata)
    assert (refused["Status"], "availability zone" in refused["StatusMessage"]) == ("FAILED", True)
    del metadata["AvailabilityZone"]
    done = restore(client, point["RecoveryPointArn"], metadata)
    assert done["Status"] == "COMPLETED", done.get("StatusMessage")
    assert done["CreatedResourceArn"] == f"{database}-restored"

    beside = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-restored")["DBInstances"][0]
    assert "MasterUserSecret" not in beside
    for _ in range(2):
        rds.modify_db_instance(DBInstanceIdentifier=f"{name}-restored", ManageMasterUserPassword=True)
        managed = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-restored")["DBInstances"][0]
        assert managed["MasterUserSecret"] == beside.setdefault("MasterUserSecret", managed["MasterUserSecret"])

    old = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    rds.modify_db_instance(DBInstanceIdentifier=name, NewDBInstanceIdentifier=f"{name}-old", ApplyImmediately=True)
    rds.modify_db_instance(DBInstanceIdentifier=f"{name}-restored", NewDBInstanceIdentifier=name, ApplyImmediately=True)
    new = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    assert new["Endpoint"] == old["Endpoint"]
    assert new["DbiResourceId"] != old["DbiResourceId"]
    same = ("DBName", "MasterUsername", "DBInstanceClass", "MultiAZ", "AllocatedStorage", "EngineVersion")
    assert [new[key] for key in same] == [old[key] for key in same]
    assert new["MasterUserSecret"]["SecretArn"] != old["MasterUserSecret"]["SecretArn"]


def test_a_database_that_is_gone_is_restored_from_its_point(client: Client, vault: str, database: str) -> None:
    name = database.split(":")[-1]
    point = back_up(client, vault, database)["RecoveryPointArn"]
    client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    done = restore(client, point, {"DBInstanceIdentifier": name})
    assert (done["Status"], done["CreatedResourceArn"]) == ("COMPLETED", database)


def test_with_a_lab_a_databases_backup_and_restore_end_when_the_lab_says_so(
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

    beside = {"DBInstanceIdentifier": f"{database.split(':')[-1]}-restored"}
    restoring = restore(client, ended["RecoveryPointArn"], beside)
    assert restoring["Status"] == "RUNNING"
    described = client("rds").describe_db_instances(**beside)["DBInstances"][0]
    assert described["DBInstanceStatus"] == "creating"
    assert lab(restoring["RestoreJobId"], True) == 204
    assert backup.describe_restore_job(RestoreJobId=restoring["RestoreJobId"])["Status"] == "COMPLETED"
    assert client("rds").describe_db_instances(**beside)["DBInstances"][0]["DBInstanceStatus"] == "available"


def test_a_copy_that_fails_in_the_lab_fails_the_job_and_leaves_no_point(
    client: Client, vault: str, database: str, lab: Callable[..., int]
) -> None:
    job = back_up(client, vault, database)["BackupJobId"]
    assert lab(job, False, "the disk is full") == 204
    ended = client("backup").describe_backup_job(BackupJobId=job)
    assert (ended["State"], ended["StatusMessage"]) == ("FAILED", "the disk is full")
    assert client("backup").list_recovery_points_by_backup_vault(BackupVaultName=vault)["RecoveryPoints"] == []
    assert lab(job, True) == 400


def test_a_vault_with_points_is_kept_until_they_are_deleted(client: Client, vault: str, database: str) -> None:
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
