"""The content of recovery points of AWS Backup: back it up and restore it, by resource type.

The embedded AWS copies and restores the objects of a bucket itself. Of a database it has only the record: the lab has
the data, and `backup_jobs` waits for the lab's copy. A file system is a record without files. A continuous backup of a
bucket consists of the versions that the bucket still has.

Refusals and parameters follow the AWS Backup Developer Guide, "Restore S3 data" and "Restore an RDS database", and the
RDS API reference, RestoreDBInstanceFromDBSnapshot.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.backup.exceptions import InvalidParameterValueException, ResourceNotFoundException
from moto.efs.models import efs_backends
from moto.rds.exceptions import RDSClientError
from moto.rds.models import rds_backends
from moto.s3.models import FakeDeleteMarker, s3_backends

from . import rds_states

BOOLEANS = ("AutoMinorVersionUpgrade", "CopyTagsToSnapshot", "DeletionProtection", "MultiAZ", "PubliclyAccessible")


@dataclass
class Content:
    """A copy of a resource. ``metadata`` are the parameters of a restore by their names in AWS Backup."""

    resource_type: str
    resource_arn: str
    metadata: dict[str, str]
    bytes: int = 0
    snapshot: str = ""
    continuous: bool = False
    objects: list[dict[str, Any]] = field(default_factory=list)


class RestoreFailed(Exception):
    """A restore job fails. The message is AWS's."""


def back_up(account: str, region: str, arn: str, name: str) -> Content:
    """Copy a resource. ``name`` is the name of the snapshot, if the resource type has snapshots."""
    service, identifier = arn.split(":")[2], arn.split(":")[-1].split("/")[-1]
    if service == "rds":
        return _back_up_database(account, region, arn, identifier, name)
    if service == "s3":
        return _back_up_bucket(account, arn, identifier)
    if service == "elasticfilesystem":
        efs_backends[account][region].describe_file_systems(file_system_id=identifier)  # raises if it does not exist
        metadata = {"file-system-id": identifier, "newFileSystem": "false", "Encrypted": "true"}
        return Content("EFS", arn, metadata)
    raise InvalidParameterValueException(f"The embedded AWS cannot back up resources of {service}: {arn}")


def back_up_continuously(account: str, region: str, arn: str) -> Content | None:
    """Return the continuous backup of a database or a bucket, None if the resource does not exist."""
    service, identifier = arn.split(":")[2], arn.split(":")[-1]
    if service == "rds" and identifier in rds_backends[account][region].databases:
        database = rds_backends[account][region].databases[identifier]
        return Content("RDS", arn, _database_metadata(database), continuous=True)
    if service == "s3" and identifier in s3_backends[account]["aws"].buckets:
        return Content("S3", arn, {"DestinationBucketName": identifier}, continuous=True)
    return None


def restore(account: str, region: str, content: Content, metadata: dict[str, str]) -> str:
    """Start a restore and return the ARN of the created or filled resource. For S3 the restore is then complete."""
    if content.continuous and not (metadata.get("RestoreTime") or metadata.get("UseLatestRestorableTime") == "true"):
        raise RestoreFailed("A restore from a continuous backup requires RestoreTime or UseLatestRestorableTime.")
    if content.resource_type == "RDS":
        return _restore_database(account, region, content, metadata)
    if content.resource_type == "S3":
        return _restore_bucket(account, content, metadata)
    raise RestoreFailed("The embedded AWS stores no files of a file system, so it has nothing to restore")


def delete(account: str, region: str, content: Content) -> None:
    """Delete the snapshot of a deleted recovery point."""
    if content.snapshot:
        rds_backends[account][region].database_snapshots.pop(content.snapshot, None)


def complete(account: str, region: str, created: str) -> None:
    """Make a restored database available."""
    if created.split(":")[2] == "rds":
        rds_backends[account][region].databases[created.split(":")[-1]].status = "available"


def _back_up_database(account: str, region: str, arn: str, identifier: str, name: str) -> Content:
    backend = rds_backends[account][region]
    rds_states.settle(backend)
    if identifier not in backend.databases:
        raise ResourceNotFoundException(f"No database instance {identifier}")
    database = backend.databases[identifier]
    snapshot = backend.create_db_snapshot(identifier, name, snapshot_type="awsbackup")
    return Content("RDS", arn, _database_metadata(database), snapshot=snapshot.db_snapshot_identifier)


def _database_metadata(database: Any) -> dict[str, str]:
    """Return the metadata of a database's recovery point. It has no parameter group, so RDS takes the default one."""
    metadata = {
        "AutoMinorVersionUpgrade": database.auto_minor_version_upgrade,
        "AvailabilityZone": database.availability_zone,
        "CopyTagsToSnapshot": database.copy_tags_to_snapshot,
        "DBInstanceClass": database.db_instance_class,
        "DBInstanceIdentifier": database.db_instance_identifier,
        "DBName": database.db_name or "",
        "DBSubnetGroupName": database._db_subnet_group_name or "",
        "DeletionProtection": database.deletion_protection,
        "Engine": database.engine,
        "MultiAZ": database.multi_az,
        "Port": database.port,
        "PubliclyAccessible": bool(database.publicly_accessible),
        "StorageType": database.storage_type,
        "VpcSecurityGroupIds": json.dumps(database.vpc_security_group_ids),
    }
    if database.storage_type == "gp3":
        metadata |= {"Iops": 3000, "StorageThroughput": 125}  # gp3's baseline
    return {key: (str(value).lower() if key in BOOLEANS else str(value)) for key, value in metadata.items()}


def _restore_database(account: str, region: str, content: Content, metadata: dict[str, str]) -> str:
    """Create an instance from the snapshot. `complete` makes it available when the lab has restored the data."""
    if metadata.get("MultiAZ") == "true" and metadata.get("AvailabilityZone"):
        raise RestoreFailed("Requesting a specific availability zone is not valid for Multi-AZ instances.")
    if metadata.get("DBName"):
        raise RestoreFailed("DBName must be null when Restoring for this Engine.")
    overrides: dict[str, Any] = {
        "db_instance_identifier": metadata["DBInstanceIdentifier"],
        "db_instance_class": metadata.get("DBInstanceClass"),
        "db_parameter_group_name": metadata.get("DBParameterGroupName"),
        "db_subnet_group_name": metadata.get("DBSubnetGroupName"),
        "vpc_security_group_ids": json.loads(metadata.get("VpcSecurityGroupIds", "[]")),
    }
    backend = rds_backends[account][region]
    try:
        if content.continuous:
            source, target = content.resource_arn.split(":")[-1], overrides["db_instance_identifier"]
            _check_storage(backend.describe_db_instances(source)[0], metadata)
            database = backend.restore_db_instance_to_point_in_time(source, target, overrides)
            if not metadata.get("DBParameterGroupName"):
                database.db_parameter_group_name = database.default_db_parameter_group_details()[1]
        else:
            snapshot = backend.database_snapshots[content.snapshot]
            _check_storage(snapshot, metadata)
            snapshot.snapshot_type = "manual"  # moto restores only from manual snapshots
            try:
                database = backend.restore_db_instance_from_db_snapshot(content.snapshot, overrides)
            finally:
                snapshot.snapshot_type = "awsbackup"
    except RDSClientError as error:
        raise RestoreFailed(str(error)) from error
    database.status = "creating"
    if database.manage_master_user_password:  # a restored instance has the snapshot's password
        database.update(manage_master_user_password=False)
    for key in ("DeletionProtection", "MultiAZ"):
        name = {"DeletionProtection": "deletion_protection", "MultiAZ": "multi_az"}[key]
        setattr(database, name, metadata.get(key) == "true")
    return str(database.db_instance_arn)


def _check_storage(source: Any, metadata: dict[str, str]) -> None:
    # RDS User Guide, "gp3 storage": PostgreSQL takes both only from 400 GiB
    if source.allocated_storage < 400 and (metadata.get("Iops") or metadata.get("StorageThroughput")):
        raise RestoreFailed(
            "You can't specify IOPS or storage throughput for engine postgres and a storage size less than 400."
        )


def _back_up_bucket(account: str, arn: str, name: str) -> Content:
    backend = s3_backends[account]["aws"]
    if name not in backend.buckets:
        raise ResourceNotFoundException(f"No bucket {name}")
    bucket = backend.buckets[name]
    if not bucket.is_versioned:
        raise InvalidParameterValueException(f"Bucket {name} has no versioning, which AWS Backup needs")
    objects = _copies(bucket.keys.values())
    metadata = {"DestinationBucketName": name, "NewBucket": "false"}
    return Content("S3", arn, metadata, sum(len(each["value"]) for each in objects), objects=objects)


def _objects_at(backend: Any, name: str, moment: str | None) -> list[dict[str, Any]]:
    """Return copies of the objects that a bucket had at ``moment``, None for now."""
    if name not in backend.buckets:
        raise RestoreFailed(f"The bucket {name} does not exist")
    until = datetime.fromisoformat(moment) if moment else datetime.now(UTC)
    keys = backend.buckets[name].keys
    versions = [[each for each in keys.getlist(key) if _modified(each) <= until] for key in keys]
    return _copies(each[-1] for each in versions if each)


def _modified(version: Any) -> datetime:
    modified: datetime = version.last_modified
    return modified.replace(tzinfo=UTC)


def _copies(keys: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": key.name,
            "value": key.value,
            "metadata": dict(key.metadata),
            "storage": key.storage_class,
            "encryption": key.encryption,
            "kms_key_id": key.kms_key_id,
        }
        for key in keys
        if not isinstance(key, FakeDeleteMarker)
    ]


def _restore_bucket(account: str, content: Content, metadata: dict[str, str]) -> str:
    """Restore the missing objects. As on AWS, existing objects stay; one with a delete marker counts as missing."""
    backend, name = s3_backends[account]["aws"], metadata["DestinationBucketName"]
    if name not in backend.buckets:
        raise RestoreFailed(f"The destination bucket {name} does not exist")
    bucket = backend.buckets[name]
    if _disables_acls(bucket) and metadata.get("RestoreACLs", "true").lower() != "false":
        raise RestoreFailed(f"The destination bucket {name} does not allow ACLs")
    objects = content.objects
    if content.continuous:
        objects = _objects_at(backend, content.resource_arn.split(":")[-1], metadata.get("RestoreTime"))
    for each in objects:
        existing = bucket.keys.get(each["name"])
        if existing is not None and not isinstance(existing, FakeDeleteMarker):
            continue
        restored = backend.put_object(
            name, each["name"], each["value"], storage=each["storage"],
            encryption=each["encryption"], kms_key_id=each["kms_key_id"],
        )  # fmt: skip
        restored.set_metadata(each["metadata"], replace=True)
    return f"arn:aws:s3:::{name}"


def _disables_acls(bucket: Any) -> bool:
    """Whether the bucket disables ACLs. A new bucket does (S3 User Guide, "Controlling ownership of objects")."""
    return bucket.ownership_rule in (None, "BucketOwnerEnforced")
