"""What a recovery point of AWS Backup holds, by the kind of the resource, and how it comes back.

The embedded AWS has the objects of a bucket itself: it copies them and puts them back. Of a database it has the record
alone; what is in it lies with the lab, whose work `backup_jobs` waits for. A file system is a record without files.
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
    """``resource_type`` as AWS Backup names it; ``metadata`` is what a restore may be told, ``bytes`` the size."""

    resource_type: str
    resource_arn: str
    metadata: dict[str, str]
    bytes: int = 0
    snapshot: str = ""
    objects: list[dict[str, Any]] = field(default_factory=list)


class Refused(Exception):
    """Why a restore job fails, in AWS's words."""


def take(account: str, region: str, arn: str, name: str) -> Content:
    """A copy of what the resource is and has now; ``name`` becomes its snapshot's where that has one."""
    service, identifier = arn.split(":")[2], arn.split(":")[-1].split("/")[-1]
    if service == "rds":
        return _take_database(account, region, arn, identifier, name)
    if service == "s3":
        return _take_bucket(account, arn, identifier)
    if service == "elasticfilesystem":
        efs_backends[account][region].describe_file_systems(file_system_id=identifier)  # raises when there is none
        metadata = {"file-system-id": identifier, "newFileSystem": "false", "Encrypted": "true"}
        return Content("EFS", arn, metadata)
    raise InvalidParameterValueException(f"The embedded AWS backs up no {service}: {arn}")


def give_back(account: str, region: str, content: Content, metadata: dict[str, str]) -> str:
    """Begin to restore, and finish where the embedded AWS has the content; the ARN of what was made or filled."""
    if content.resource_type == "RDS":
        return _make_database(account, region, content, metadata)
    if content.resource_type == "S3":
        return _fill_bucket(account, content, metadata)
    raise Refused("The embedded AWS has no files in a file system, so there is nothing to restore")


def forget(account: str, region: str, content: Content) -> None:
    """The recovery point is deleted."""
    if content.snapshot:
        rds_backends[account][region].database_snapshots.pop(content.snapshot, None)


def finish(account: str, region: str, created: str) -> None:
    """The restored database answers from now on."""
    if created.split(":")[2] == "rds":
        rds_backends[account][region].databases[created.split(":")[-1]].status = "available"


def _take_database(account: str, region: str, arn: str, identifier: str, name: str) -> Content:
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


def _make_database(account: str, region: str, content: Content, metadata: dict[str, str]) -> str:
    """A new instance from the snapshot; it has content, and is available, when the lab says so."""
    if metadata.get("MultiAZ") == "true" and metadata.get("AvailabilityZone"):
        raise Refused("Requesting a specific availability zone is not valid for Multi-AZ instances.")
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
        snapshot.snapshot_type = "manual"  # moto restores from no other kind
        database = backend.restore_db_instance_from_db_snapshot(content.snapshot, overrides)
    except RDSClientError as error:
        raise Refused(str(error)) from error
    finally:
        snapshot.snapshot_type = "awsbackup"
    database.status = "creating"
    if database.manage_master_user_password:  # the password is the snapshot's; whoever wants it managed asks again
        database.update(manage_master_user_password=False)
    for key in ("DeletionProtection", "MultiAZ"):
        name = {"DeletionProtection": "deletion_protection", "MultiAZ": "multi_az"}[key]
        setattr(database, name, metadata.get(key) == "true")
    return str(database.db_instance_arn)


def _take_bucket(account: str, arn: str, name: str) -> Content:
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


def _fill_bucket(account: str, content: Content, metadata: dict[str, str]) -> str:
    """As AWS: an object that is there stays as it is, nothing is deleted, and a delete marker counts as not there."""
    backend, name = s3_backends[account]["aws"], metadata["DestinationBucketName"]
    if name not in backend.buckets:
        raise Refused(f"The destination bucket {name} does not exist")
    bucket = backend.buckets[name]
    for each in content.objects:
        there = bucket.keys.get(each["name"])
        if there is not None and not isinstance(there, FakeDeleteMarker):
            continue
        made = backend.put_object(
            name, each["name"], each["value"], storage=each["storage"],
            encryption=each["encryption"], kms_key_id=each["kms_key_id"],
        )  # fmt: skip
        made.set_metadata(each["metadata"], replace=True)
    return f"arn:aws:s3:::{name}"
