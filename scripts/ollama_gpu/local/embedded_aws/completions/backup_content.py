"""The content of recovery points of AWS Backup: back it up and restore it, by resource type.

The embedded AWS copies and restores the objects of a bucket itself. Of a database it has only the record: the lab has
the data, and `backup_jobs` waits for the lab's copy. A file system is a record without files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from moto.backup.exceptions import InvalidParameterValueException, ResourceNotFoundException
from moto.efs.models import efs_backends
from moto.rds.exceptions import RDSClientError
from moto.rds.models import rds_backends
from moto.s3.models import FakeDeleteMarker, s3_backends

BOOLEANS = ("AutoMinorVersionUpgrade", "CopyTagsToSnapshot", "DeletionProtection", "MultiAZ", "PubliclyAccessible")


@dataclass
class Content:
    """A copy of a resource. ``metadata`` are the parameters of a restore by their names in AWS Backup."""

    resource_type: str
    resource_arn: str
    metadata: dict[str, str]
    bytes: int = 0
    snapshot: str = ""
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


def restore(account: str, region: str, content: Content, metadata: dict[str, str]) -> str:
    """Start a restore and return the ARN of the created or filled resource. For S3 the restore is then complete."""
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
    if identifier not in backend.databases:
        raise ResourceNotFoundException(f"No database instance {identifier}")
    database = backend.databases[identifier]
    snapshot = backend.create_db_snapshot(identifier, name, snapshot_type="awsbackup")
    metadata = {
        "AutoMinorVersionUpgrade": database.auto_minor_version_upgrade,
        "AvailabilityZone": database.availability_zone,
        "CopyTagsToSnapshot": database.copy_tags_to_snapshot,
        "DBInstanceClass": database.db_instance_class,
        "DBInstanceIdentifier": identifier,
        "DBName": database.db_name or "",
        "DBParameterGroupName": database.db_parameter_group_name or "",
        "DBSubnetGroupName": database._db_subnet_group_name or "",
        "DeletionProtection": database.deletion_protection,
        "Engine": database.engine,
        "MultiAZ": database.multi_az,
        "Port": database.port,
        "PubliclyAccessible": bool(database.publicly_accessible),
        "StorageType": database.storage_type,
        "VpcSecurityGroupIds": json.dumps(database.vpc_security_group_ids),
    }
    texts = {key: (str(value).lower() if key in BOOLEANS else str(value)) for key, value in metadata.items()}
    return Content("RDS", arn, texts, snapshot=snapshot.db_snapshot_identifier)


def _restore_database(account: str, region: str, content: Content, metadata: dict[str, str]) -> str:
    """Create an instance from the snapshot. `complete` makes it available when the lab has restored the data."""
    if metadata.get("MultiAZ") == "true" and metadata.get("AvailabilityZone"):
        raise RestoreFailed("Requesting a specific availability zone is not valid for Multi-AZ instances.")
    overrides: dict[str, Any] = {
        "db_instance_identifier": metadata["DBInstanceIdentifier"],
        "db_instance_class": metadata.get("DBInstanceClass"),
        "db_parameter_group_name": metadata.get("DBParameterGroupName"),
        "db_subnet_group_name": metadata.get("DBSubnetGroupName"),
        "vpc_security_group_ids": json.loads(metadata.get("VpcSecurityGroupIds", "[]")),
    }
    backend = rds_backends[account][region]
    snapshot = backend.database_snapshots[content.snapshot]
    try:
        snapshot.snapshot_type = "manual"  # moto restores only from manual snapshots
        database = backend.restore_db_instance_from_db_snapshot(content.snapshot, overrides)
    except RDSClientError as error:
        raise RestoreFailed(str(error)) from error
    finally:
        snapshot.snapshot_type = "awsbackup"
    database.status = "creating"
    if database.manage_master_user_password:  # a restored instance has the snapshot's password
        database.update(manage_master_user_password=False)
    for key in ("DeletionProtection", "MultiAZ"):
        name = {"DeletionProtection": "deletion_protection", "MultiAZ": "multi_az"}[key]
        setattr(database, name, metadata.get(key) == "true")
    return str(database.db_instance_arn)


def _back_up_bucket(account: str, arn: str, name: str) -> Content:
    backend = s3_backends[account]["aws"]
    if name not in backend.buckets:
        raise ResourceNotFoundException(f"No bucket {name}")
    bucket = backend.buckets[name]
    if not bucket.is_versioned:
        raise InvalidParameterValueException(f"Bucket {name} has no versioning, which AWS Backup needs")
    current = [key for key in bucket.keys.values() if not isinstance(key, FakeDeleteMarker)]
    objects = [
        {
            "name": key.name,
            "value": key.value,
            "metadata": dict(key.metadata),
            "storage": key.storage_class,
            "encryption": key.encryption,
            "kms_key_id": key.kms_key_id,
        }
        for key in current
    ]
    metadata = {"DestinationBucketName": name, "NewBucket": "false"}
    return Content("S3", arn, metadata, sum(len(each["value"]) for each in objects), objects=objects)


def _restore_bucket(account: str, content: Content, metadata: dict[str, str]) -> str:
    """Restore the missing objects. As on AWS, existing objects stay; one with a delete marker counts as missing."""
    backend, name = s3_backends[account]["aws"], metadata["DestinationBucketName"]
    if name not in backend.buckets:
        raise RestoreFailed(f"The destination bucket {name} does not exist")
    bucket = backend.buckets[name]
    for each in content.objects:
        existing = bucket.keys.get(each["name"])
        if existing is not None and not isinstance(existing, FakeDeleteMarker):
            continue
        restored = backend.put_object(
            name, each["name"], each["value"], storage=each["storage"],
            encryption=each["encryption"], kms_key_id=each["kms_key_id"],
        )  # fmt: skip
        restored.set_metadata(each["metadata"], replace=True)
    return f"arn:aws:s3:::{name}"
