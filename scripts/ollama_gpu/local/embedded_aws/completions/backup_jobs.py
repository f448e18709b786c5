"""Backup jobs, restore jobs and recovery points of AWS Backup, which moto 5.2.5 lacks.

A job completes within the request that starts it. Only the job of a database runs until the lab reports its result
(`finish`), if the lab is present (`wait_for_lab`).
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
    """Let the jobs of databases wait for the lab's report (True), or complete them at once (False)."""
    _lab["present"] = present


def finish(account: str, region: str, job_id: str, succeeded: bool, message: str = "", size: int = 0) -> None:
    """Finish a database's job with the lab's result. ``size`` is in bytes. Raises LookupError if it is not running."""
    key = (account, region)
    if (backup := _backup_jobs[key].get(job_id)) and backup["State"] == "RUNNING":
        _end_backup(key, backup, succeeded, message, size)
    elif (restore := _restore_jobs[key].get(job_id)) and restore["Status"] == "RUNNING":
        _end_restore(key, restore, succeeded, message)
    else:
        raise LookupError(f"no running job {job_id}")


def begin_continuous_backup(key: tuple[str, str], vault: Any, selection: dict[str, Any], lifecycle: Any) -> None:
    """Create the continuous recovery point of each selected resource that exists. AWS does so at the plan's first run.

    Source: AWS Backup Developer Guide, "Continuous backups and point-in-time recovery". A resource has one such point.
    """
    for arn in selection.get("Resources", []):
        content = backup_content.back_up_continuously(*key, arn)
        if content is None:
            continue
        name = f"{content.resource_type.lower()}-{uuid.uuid5(uuid.NAMESPACE_URL, arn).hex[:26]}"
        point = f"arn:aws:backup:{key[1]}:{key[0]}:recovery-point:continuous:{name}"
        _contents[key][point] = content
        _points[key][point] = {
            "RecoveryPointArn": point,
            "BackupVaultName": vault.backup_vault_name,
            "BackupVaultArn": vault.backup_vault_arn,
            "ResourceArn": arn,
            "ResourceType": content.resource_type,
            "IamRoleArn": selection["IamRoleArn"],
            "CreationDate": utcnow(),
            "Status": "AVAILABLE",
            "IsEncrypted": True,
            "Lifecycle": lifecycle,
        }


def start_backup_job(self: Any) -> ActionResult:
    """StartBackupJob."""
    request, backend = parameters(self), self.backup_backend
    vault = backend.describe_backup_vault(request["BackupVaultName"])
    identifier, key = str(uuid.uuid4()).upper(), (self.current_account, self.region)
    name = f"awsbackup:job-{identifier.lower()}"
    content = backup_content.back_up(*key, request["ResourceArn"], name)
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
        "RecoveryPointLifecycle": request.get("Lifecycle", {}),
        "ResourceArn": request["ResourceArn"],
        "ResourceType": content.resource_type,
        "IamRoleArn": request["IamRoleArn"],
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
    """ListBackupJobs, filtered by state, resource, type and vault, newest first, in one page."""
    fields = {"ByState": "State", "ByResourceArn": "ResourceArn", "ByResourceType": "ResourceType"}
    fields["ByBackupVaultName"] = "BackupVaultName"
    return ActionResult({"BackupJobs": _listed(_backup_jobs.of(self), parameters(self), fields)})


def start_restore_job(self: Any) -> ActionResult:
    """StartRestoreJob."""
    request, key = parameters(self), (self.current_account, self.region)
    arn = request["RecoveryPointArn"]
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
        "IamRoleArn": request.get("IamRoleArn"),
        "CreationDate": utcnow(),
        "Status": "RUNNING",
        "PercentDone": "0.0",
    }
    _restore_jobs[key][identifier] = job
    try:
        if _lab["present"] and _contents[key][arn].continuous and point["ResourceType"] == "RDS":
            raise backup_content.RestoreFailed("The lab keeps no transaction log, so it cannot restore to a time")
        job["CreatedResourceArn"] = backup_content.restore(*key, _contents[key][arn], dict(request["Metadata"]))
    except backup_content.RestoreFailed as error:
        _end_restore(key, job, False, str(error))
    else:
        if not (point["ResourceType"] == "RDS" and _lab["present"]):
            _end_restore(key, job, True, "")
    return ActionResult({"RestoreJobId": identifier})


def describe_restore_job(self: Any) -> ActionResult:
    """DescribeRestoreJob."""
    return ActionResult(_one(_restore_jobs.of(self), parameters(self)["RestoreJobId"], "restore job"))


def list_restore_jobs(self: Any) -> ActionResult:
    """ListRestoreJobs, filtered by state and type, newest first, in one page."""
    fields = {"ByStatus": "Status", "ByResourceType": "ResourceType"}
    return ActionResult({"RestoreJobs": _listed(_restore_jobs.of(self), parameters(self), fields)})


def list_recovery_points_by_backup_vault(self: Any) -> ActionResult:
    """ListRecoveryPointsByBackupVault, filtered by resource and type, newest first, in one page."""
    request = parameters(self)
    self.backup_backend.describe_backup_vault(request["BackupVaultName"])
    fields = {"ByResourceArn": "ResourceArn", "ByResourceType": "ResourceType", "BackupVaultName": "BackupVaultName"}
    return ActionResult({"RecoveryPoints": _listed(_points.of(self), request, fields)})


def describe_recovery_point(self: Any) -> ActionResult:
    """DescribeRecoveryPoint."""
    return ActionResult(_point(self))


def get_recovery_point_restore_metadata(self: Any) -> ActionResult:
    """GetRecoveryPointRestoreMetadata: the metadata of the resource at the time of the backup."""
    point = _point(self)
    kept = {key: point[key] for key in ("BackupVaultArn", "RecoveryPointArn", "ResourceType")}
    return ActionResult({**kept, "RestoreMetadata": _contents.of(self)[point["RecoveryPointArn"]].metadata})


def delete_recovery_point(self: Any) -> EmptyResult:
    """DeleteRecoveryPoint, with its content."""
    arn, key = _point(self)["RecoveryPointArn"], (self.current_account, self.region)
    del _points[key][arn]
    backup_content.delete(*key, _contents[key].pop(arn))
    return EmptyResult()


def require_empty_vault(backend: Any, name: str) -> None:
    """Reject the deletion of a vault that contains recovery points, as AWS does."""
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
        backup_content.delete(*key, _contents[key].pop(arn))
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
        backup_content.complete(*key, job["CreatedResourceArn"])
    else:
        job["StatusMessage"] = message


def _one(found: dict[str, dict[str, Any]], identifier: str, kind: str) -> dict[str, Any]:
    if identifier not in found:
        raise ResourceNotFoundException(f"Cannot find {kind} {identifier}")
    return found[identifier]


def _point(response: Any) -> dict[str, Any]:
    request = parameters(response)
    response.backup_backend.describe_backup_vault(request["BackupVaultName"])
    point = _one(_points.of(response), request["RecoveryPointArn"], "recovery point")
    if point["BackupVaultName"] != request["BackupVaultName"]:
        raise ResourceNotFoundException(f"Cannot find recovery point {request['RecoveryPointArn']}")
    return point


def _listed(found: dict[str, dict[str, Any]], request: dict[str, Any], fields: dict[str, str]) -> list[dict[str, Any]]:
    wanted = {field: request[name] for name, field in fields.items() if request.get(name)}
    matching = [each for each in found.values() if all(each.get(field) == value for field, value in wanted.items())]
    return sorted(matching, key=lambda each: each["CreationDate"], reverse=True)
