"""AWS Backup's jobs and recovery points, none of which moto 5.2.5 has: on demand, restored by content.

A job ends with the request that starts it, but for a database whose content is the lab's (``wait_for_lab``): then it
runs until the lab says how its part went (`settle`).
"""

from __future__ import annotations

import uuid
from typing import Any

from moto.backup.exceptions import InvalidRequestException, ResourceNotFoundException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from . import backup_content
from .backup_content import Content
from .patching import parameters
from .store import Regional

_points: Regional[dict[str, Any]] = Regional()  # by ARN
_contents: Regional[Content] = Regional()  # by the point's ARN
_backup_jobs: Regional[dict[str, Any]] = Regional()
_restore_jobs: Regional[dict[str, Any]] = Regional()

_lab: dict[str, bool] = {"present": False}


def wait_for_lab(present: bool) -> None:
    """From now on a database's backup and restore end when the lab says so; or, False, at once."""
    _lab["present"] = present


def settle(account: str, region: str, job_id: str, succeeded: bool, message: str = "", size: int = 0) -> None:
    """The lab has copied a database, ``size`` bytes of it, or could not. Raises LookupError for no running job."""
    key = (account, region)
    if (backup := _backup_jobs[key].get(job_id)) and backup["State"] == "RUNNING":
        _end_backup(key, backup, succeeded, message, size)
    elif (restore := _restore_jobs[key].get(job_id)) and restore["Status"] == "RUNNING":
        _end_restore(key, restore, succeeded, message)
    else:
        raise LookupError(f"no running job {job_id}")


def start_backup_job(self: Any) -> ActionResult:
    """StartBackupJob."""
    asked, backend = parameters(self), self.backup_backend
    vault = backend.describe_backup_vault(asked["BackupVaultName"])
    identifier, key = str(uuid.uuid4()).upper(), (self.current_account, self.region)
    name = f"awsbackup:job-{identifier.lower()}"
    content = backup_content.take(*key, asked["ResourceArn"], name)
    point = (
        f"arn:aws:rds:{self.region}:{self.current_account}:snapshot:{name}"
        if content.snapshot
        else f"arn:aws:backup:{self.region}:{self.current_account}:recovery-point:{uuid.uuid4()}"
    )
    job = {
        "AccountId": self.current_account,
        "BackupJobId": identifier,
        "BackupVaultName": vault.backup_vault_name,
        "BackupVaultArn": vault.backup_vault_arn,
        "RecoveryPointArn": point,
        "RecoveryPointLifecycle": asked.get("Lifecycle", {}),
        "ResourceArn": asked["ResourceArn"],
        "ResourceType": content.resource_type,
        "IamRoleArn": asked["IamRoleArn"],
        "CreationDate": utcnow(),
        "State": "RUNNING",
        "PercentDone": "0.0",
    }
    _backup_jobs[key][identifier] = job
    _contents[key][point] = content
    if not (content.snapshot and _lab["present"]):
        _end_backup(key, job, True, "", content.bytes)
    return ActionResult({"BackupJobId": identifier, "RecoveryPointArn": point, "CreationDate": job["CreationDate"]})


def describe_backup_job(self: Any) -> ActionResult:
    """DescribeBackupJob."""
    return ActionResult(_one(_backup_jobs.of(self), parameters(self)["BackupJobId"], "backup job"))


def list_backup_jobs(self: Any) -> ActionResult:
    """ListBackupJobs by state, resource, type and vault; one page, newest first."""
    fields = {"ByState": "State", "ByResourceArn": "ResourceArn", "ByResourceType": "ResourceType"}
    fields["ByBackupVaultName"] = "BackupVaultName"
    return ActionResult({"BackupJobs": _listed(_backup_jobs.of(self), parameters(self), fields)})


def start_restore_job(self: Any) -> ActionResult:
    """StartRestoreJob."""
    asked, key = parameters(self), (self.current_account, self.region)
    arn = asked["RecoveryPointArn"]
    point = _one(_points[key], arn, "recovery point")
    identifier = str(uuid.uuid4()).upper()
    job = {
        "AccountId": self.current_account,
        "RestoreJobId": identifier,
        "RecoveryPointArn": arn,
        "SourceResourceArn": point["ResourceArn"],
        "BackupVaultArn": point["BackupVaultArn"],
        "ResourceType": point["ResourceType"],
        "RecoveryPointCreationDate": point["CreationDate"],
        "IamRoleArn": asked.get("IamRoleArn"),
        "CreationDate": utcnow(),
        "Status": "RUNNING",
        "PercentDone": "0.0",
    }
    _restore_jobs[key][identifier] = job
    try:
        job["CreatedResourceArn"] = backup_content.give_back(*key, _contents[key][arn], dict(asked["Metadata"]))
    except backup_content.Refused as error:
        _end_restore(key, job, False, str(error))
    else:
        if not (point["ResourceType"] == "RDS" and _lab["present"]):
            _end_restore(key, job, True, "")
    return ActionResult({"RestoreJobId": identifier})


def describe_restore_job(self: Any) -> ActionResult:
    """DescribeRestoreJob."""
    return ActionResult(_one(_restore_jobs.of(self), parameters(self)["RestoreJobId"], "restore job"))


def list_restore_jobs(self: Any) -> ActionResult:
    """ListRestoreJobs by state and type; one page, newest first."""
    fields = {"ByStatus": "Status", "ByResourceType": "ResourceType"}
    return ActionResult({"RestoreJobs": _listed(_restore_jobs.of(self), parameters(self), fields)})


def list_recovery_points_by_backup_vault(self: Any) -> ActionResult:
    """ListRecoveryPointsByBackupVault by resource and type; one page, newest first."""
    asked = parameters(self)
    self.backup_backend.describe_backup_vault(asked["BackupVaultName"])
    fields = {"ByResourceArn": "ResourceArn", "ByResourceType": "ResourceType", "BackupVaultName": "BackupVaultName"}
    return ActionResult({"RecoveryPoints": _listed(_points.of(self), asked, fields)})


def describe_recovery_point(self: Any) -> ActionResult:
    """DescribeRecoveryPoint."""
    return ActionResult(_point(self))


def get_recovery_point_restore_metadata(self: Any) -> ActionResult:
    """GetRecoveryPointRestoreMetadata: as the resource was when it was backed up."""
    point = _point(self)
    kept = {key: point[key] for key in ("BackupVaultArn", "RecoveryPointArn", "ResourceType")}
    return ActionResult({**kept, "RestoreMetadata": _contents.of(self)[point["RecoveryPointArn"]].metadata})


def delete_recovery_point(self: Any) -> EmptyResult:
    """DeleteRecoveryPoint, with what it holds."""
    arn, key = _point(self)["RecoveryPointArn"], (self.current_account, self.region)
    del _points[key][arn]
    backup_content.forget(*key, _contents[key].pop(arn))
    return EmptyResult()


def refuse_full_vault(backend: Any, name: str) -> None:
    """Raises as AWS does when a vault that is to be deleted holds recovery points."""
    if any(point["BackupVaultName"] == name for point in _points.of(backend).values()):
        raise InvalidRequestException("Backup vault cannot be deleted because it contains recovery points.")


OPERATIONS = (
    start_backup_job,
    describe_backup_job,
    list_backup_jobs,
    start_restore_job,
    describe_restore_job,
    list_restore_jobs,
    list_recovery_points_by_backup_vault,
    describe_recovery_point,
    get_recovery_point_restore_metadata,
    delete_recovery_point,
)


def _end_backup(key: tuple[str, str], job: dict[str, Any], succeeded: bool, message: str, size: int) -> None:
    job.update(CompletionDate=utcnow(), State="COMPLETED" if succeeded else "FAILED", BackupSizeInBytes=size)
    arn = job["RecoveryPointArn"]
    if not succeeded:
        job["StatusMessage"] = message
        backup_content.forget(*key, _contents[key].pop(arn))
        return
    job["PercentDone"] = "100.0"
    same = ("RecoveryPointArn", "BackupVaultName", "BackupVaultArn", "ResourceArn", "ResourceType", "IamRoleArn")
    dates = {name: job[name] for name in ("CreationDate", "CompletionDate", "BackupSizeInBytes")}
    point = {name: job[name] for name in same} | dates | {"Status": "COMPLETED", "IsEncrypted": True}
    _points[key][arn] = point | {"Lifecycle": job["RecoveryPointLifecycle"]}


def _end_restore(key: tuple[str, str], job: dict[str, Any], succeeded: bool, message: str) -> None:
    job.update(CompletionDate=utcnow(), Status="COMPLETED" if succeeded else "FAILED")
    if succeeded:
        job["PercentDone"] = "100.00%"
        backup_content.finish(*key, job["CreatedResourceArn"])
    else:
        job["StatusMessage"] = message


def _one(found: dict[str, dict[str, Any]], identifier: str, kind: str) -> dict[str, Any]:
    if identifier not in found:
        raise ResourceNotFoundException(f"Cannot find {kind} {identifier}")
    return found[identifier]


def _point(response: Any) -> dict[str, Any]:
    asked = parameters(response)
    response.backup_backend.describe_backup_vault(asked["BackupVaultName"])
    point = _one(_points.of(response), asked["RecoveryPointArn"], "recovery point")
    if point["BackupVaultName"] != asked["BackupVaultName"]:
        raise ResourceNotFoundException(f"Cannot find recovery point {asked['RecoveryPointArn']}")
    return point


def _listed(found: dict[str, dict[str, Any]], asked: dict[str, Any], fields: dict[str, str]) -> list[dict[str, Any]]:
    wanted = {field: asked[name] for name, field in fields.items() if asked.get(name)}
    matching = [each for each in found.values() if all(each.get(field) == value for field, value in wanted.items())]
    return sorted(matching, key=lambda each: each["CreationDate"], reverse=True)
