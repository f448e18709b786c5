"""AWS Backup: selections, jobs, restore testing, vault policies and notifications.

moto 5.2.5 has plans, vaults and vault locks. It lacks selections, UpdateBackupPlan, jobs, recovery points, restore
testing plans and their selections, and a vault's access policy and notifications. It lists tags only under a path with
a trailing slash, and it never frees the name of a deleted plan.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.backup import urls
from moto.backup.exceptions import InvalidRequestException, ResourceNotFoundException
from moto.backup.models import BackupBackend, Plan
from moto.backup.responses import BackupResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow

from . import backup_jobs, backup_restore_testing
from .patching import add_operations, around, parameters
from .store import Regional

_selections: Regional[dict[str, Any]] = Regional()
_access_policies: Regional[str] = Regional()
_notifications: Regional[dict[str, Any]] = Regional()


def apply() -> None:
    """Patch moto's Backup."""
    # moto matches a path with the API's model, so one pattern adds all paths that it does not list
    urls.url_paths["{0}/.*$"] = urls.response.dispatch
    add_operations(
        BackupResponse,
        update_backup_plan,
        create_backup_selection,
        get_backup_selection,
        list_backup_selections,
        delete_backup_selection,
        put_backup_vault_access_policy,
        get_backup_vault_access_policy,
        delete_backup_vault_access_policy,
        put_backup_vault_notifications,
        get_backup_vault_notifications,
        delete_backup_vault_notifications,
        *backup_jobs.OPERATIONS,
        *backup_restore_testing.OPERATIONS,
    )
    BackupResponse.list_tags = _list_tags

    @around(BackupBackend, "delete_backup_plan")
    def delete_backup_plan(original: Callable[..., Any], self: Any, backup_plan_id: str) -> Any:
        if any(each["BackupPlanId"] == backup_plan_id for each in _selections.of(self).values()):
            raise InvalidRequestException(
                "Related backup plan selections must be deleted prior to backup plan deletion"
            )
        answer = original(self, backup_plan_id)
        del self.plans[backup_plan_id]  # otherwise moto rejects a new plan with this name
        return answer

    @around(BackupBackend, "delete_backup_vault")
    def delete_backup_vault(original: Callable[..., Any], self: Any, backup_vault_name: str) -> None:
        backup_jobs.require_empty_vault(self, backup_vault_name)
        _access_policies.of(self).pop(backup_vault_name, None)
        _notifications.of(self).pop(backup_vault_name, None)
        original(self, backup_vault_name)


def update_backup_plan(self: Any) -> ActionResult:
    """UpdateBackupPlan: replace the plan's document."""
    request = parameters(self)
    old = self.backup_backend.get_backup_plan(request["BackupPlanId"], None)
    new = Plan(request["BackupPlan"], old.creator_request_id, self.backup_backend)
    new.backup_plan_id, new.backup_plan_arn = old.backup_plan_id, old.backup_plan_arn
    new.creation_date = old.creation_date
    self.backup_backend.plans[old.backup_plan_id] = new
    return ActionResult(new.to_dict())


def create_backup_selection(self: Any) -> ActionResult:
    """CreateBackupSelection."""
    request = parameters(self)
    plan = self.backup_backend.get_backup_plan(request["BackupPlanId"], None)
    selection = {
        "BackupPlanId": request["BackupPlanId"],
        "SelectionId": str(uuid.uuid4()),
        "CreationDate": utcnow(),
        "BackupSelection": request["BackupSelection"],
        "CreatorRequestId": request.get("CreatorRequestId"),
    }
    _selections.of(self)[selection["SelectionId"]] = selection
    for rule in plan.backup_plan["Rules"]:
        if rule.get("EnableContinuousBackup"):
            vault = self.backup_backend.describe_backup_vault(rule["TargetBackupVaultName"])
            key = (self.current_account, self.region)
            backup_jobs.begin_continuous_backup(key, vault, request["BackupSelection"], rule.get("Lifecycle", {}))
    return ActionResult(selection)


def get_backup_selection(self: Any) -> ActionResult:
    """GetBackupSelection."""
    return ActionResult(_selection(self))


def list_backup_selections(self: Any) -> ActionResult:
    """ListBackupSelections of a plan, in one page."""
    plan = parameters(self)["BackupPlanId"]
    found = [
        {**each, "SelectionName": each["BackupSelection"]["SelectionName"]}
        | {"IamRoleArn": each["BackupSelection"]["IamRoleArn"]}
        for each in _selections.of(self).values()
        if each["BackupPlanId"] == plan
    ]
    return ActionResult({"BackupSelectionsList": found})


def delete_backup_selection(self: Any) -> EmptyResult:
    """DeleteBackupSelection."""
    del _selections.of(self)[_selection(self)["SelectionId"]]
    return EmptyResult()


def put_backup_vault_access_policy(self: Any) -> EmptyResult:
    """PutBackupVaultAccessPolicy."""
    vault = _vault(self)
    _access_policies.of(self)[vault.backup_vault_name] = parameters(self)["Policy"]
    return EmptyResult()


def get_backup_vault_access_policy(self: Any) -> ActionResult:
    """GetBackupVaultAccessPolicy."""
    vault = _vault(self)
    policy = _access_policies.of(self).get(vault.backup_vault_name)
    if policy is None:
        raise ResourceNotFoundException("The backup vault has no access policy")
    names = {"BackupVaultName": vault.backup_vault_name, "BackupVaultArn": vault.backup_vault_arn}
    return ActionResult({**names, "Policy": policy})


def delete_backup_vault_access_policy(self: Any) -> EmptyResult:
    """DeleteBackupVaultAccessPolicy."""
    _access_policies.of(self).pop(_vault(self).backup_vault_name, None)
    return EmptyResult()


def put_backup_vault_notifications(self: Any) -> EmptyResult:
    """PutBackupVaultNotifications."""
    vault, request = _vault(self), parameters(self)
    _notifications.of(self)[vault.backup_vault_name] = {
        "SNSTopicArn": request["SNSTopicArn"],
        "BackupVaultEvents": request["BackupVaultEvents"],
    }
    return EmptyResult()


def get_backup_vault_notifications(self: Any) -> ActionResult:
    """GetBackupVaultNotifications."""
    vault = _vault(self)
    settings = _notifications.of(self).get(vault.backup_vault_name)
    if settings is None:
        raise ResourceNotFoundException("The backup vault has no notifications")
    names = {"BackupVaultName": vault.backup_vault_name, "BackupVaultArn": vault.backup_vault_arn}
    return ActionResult({**names, **settings})


def delete_backup_vault_notifications(self: Any) -> EmptyResult:
    """DeleteBackupVaultNotifications."""
    _notifications.of(self).pop(_vault(self).backup_vault_name, None)
    return EmptyResult()


def _list_tags(self: Any) -> str:
    arn = unquote(self.path.split("/tags/", 1)[1]).rstrip("/")
    return json.dumps({"Tags": self.backup_backend.list_tags(resource_arn=arn)})


def _selection(response: Any) -> dict[str, Any]:
    request = parameters(response)
    selection = _selections.of(response).get(request["SelectionId"])
    if selection is None or selection["BackupPlanId"] != request["BackupPlanId"]:
        raise ResourceNotFoundException(f"Cannot find Backup Selection {request['SelectionId']}")
    return selection


def _vault(response: Any) -> Any:
    return response.backup_backend.describe_backup_vault(parameters(response)["BackupVaultName"])
