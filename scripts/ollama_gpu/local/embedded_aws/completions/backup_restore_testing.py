"""Restore testing plans of AWS Backup and their selections, which moto 5.2.5 lacks.

They are only stored and read back: no plan runs, neither for restores nor for backups.
"""

from __future__ import annotations

from typing import Any

from moto.backup.exceptions import AlreadyExistsException, InvalidRequestException, ResourceNotFoundException
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random

from .patching import parameters
from .store import Regional

_plans: Regional[dict[str, Any]] = Regional()
_selections: Regional[dict[str, dict[str, Any]]] = Regional()  # by the plan's name, then by their own

NAME = "RestoreTestingPlanName"
SELECTION_NAME = "RestoreTestingSelectionName"


def create_restore_testing_plan(self: Any) -> ActionResult:
    """CreateRestoreTestingPlan."""
    request = parameters(self)
    plan = request["RestoreTestingPlan"]
    if plan[NAME] in _plans.of(self):
        raise AlreadyExistsException(f"Restore testing plan {plan[NAME]} already exists")
    suffix = mock_random.get_random_string(length=8)
    arn = f"arn:aws:backup:{self.region}:{self.current_account}:restore-testing-plan:{plan[NAME]}-{suffix}"
    defaults = {"ScheduleExpressionTimezone": "Etc/UTC", "StartWindowHours": 24}
    created = {**defaults, **plan, "RestoreTestingPlanArn": arn, "CreationTime": utcnow()}
    _complete_recovery_points(created)
    _plans.of(self)[plan[NAME]] = created
    _selections.of(self)[plan[NAME]] = {}
    self.backup_backend.tag_resource(arn, request.get("Tags") or {})
    return ActionResult(created)


def get_restore_testing_plan(self: Any) -> ActionResult:
    """GetRestoreTestingPlan."""
    return ActionResult({"RestoreTestingPlan": _plan(self)})


def update_restore_testing_plan(self: Any) -> ActionResult:
    """UpdateRestoreTestingPlan. Parameters that the request omits keep their values."""
    plan = _plan(self)
    plan.update(parameters(self)["RestoreTestingPlan"], LastUpdateTime=utcnow())
    _complete_recovery_points(plan)
    return ActionResult({**plan, "UpdateTime": plan["LastUpdateTime"]})


def delete_restore_testing_plan(self: Any) -> EmptyResult:
    """DeleteRestoreTestingPlan. Rejected while the plan has selections, as on AWS."""
    name = _plan(self)[NAME]
    if _selections.of(self)[name]:
        raise InvalidRequestException(f"Restore testing plan {name} still has selections")
    del _plans.of(self)[name]
    return EmptyResult()


def list_restore_testing_plans(self: Any) -> ActionResult:
    """ListRestoreTestingPlans, in one page."""
    return ActionResult({"RestoreTestingPlans": list(_plans.of(self).values())})


def create_restore_testing_selection(self: Any) -> ActionResult:
    """CreateRestoreTestingSelection."""
    plan, selection = _plan(self), parameters(self)["RestoreTestingSelection"]
    siblings = _selections.of(self)[plan[NAME]]
    if selection[SELECTION_NAME] in siblings:
        raise AlreadyExistsException(f"Restore testing selection {selection[SELECTION_NAME]} already exists")
    created = {"ValidationWindowHours": 0, **selection, NAME: plan[NAME], "CreationTime": utcnow()}
    siblings[selection[SELECTION_NAME]] = created
    return ActionResult({**created, "RestoreTestingPlanArn": plan["RestoreTestingPlanArn"]})


def get_restore_testing_selection(self: Any) -> ActionResult:
    """GetRestoreTestingSelection."""
    return ActionResult({"RestoreTestingSelection": _selection(self)})


def update_restore_testing_selection(self: Any) -> ActionResult:
    """UpdateRestoreTestingSelection. Parameters that the request omits keep their values."""
    selection = _selection(self)
    selection.update(parameters(self)["RestoreTestingSelection"])
    arn = _plan(self)["RestoreTestingPlanArn"]
    return ActionResult({**selection, "RestoreTestingPlanArn": arn, "UpdateTime": utcnow()})


def delete_restore_testing_selection(self: Any) -> EmptyResult:
    """DeleteRestoreTestingSelection."""
    selection = _selection(self)
    del _selections.of(self)[selection[NAME]][selection[SELECTION_NAME]]
    return EmptyResult()


def list_restore_testing_selections(self: Any) -> ActionResult:
    """ListRestoreTestingSelections of a plan, in one page."""
    found = list(_selections.of(self)[_plan(self)[NAME]].values())
    return ActionResult({"RestoreTestingSelections": found})


OPERATIONS = (
    create_restore_testing_plan,
    get_restore_testing_plan,
    update_restore_testing_plan,
    delete_restore_testing_plan,
    list_restore_testing_plans,
    create_restore_testing_selection,
    get_restore_testing_selection,
    update_restore_testing_selection,
    delete_restore_testing_selection,
    list_restore_testing_selections,
)


def _complete_recovery_points(plan: dict[str, Any]) -> None:
    defaults = {"ExcludeVaults": [], "SelectionWindowDays": 30}
    plan["RecoveryPointSelection"] = {**defaults, **plan.get("RecoveryPointSelection", {})}


def _plan(response: Any) -> dict[str, Any]:
    name = parameters(response)[NAME]
    plan = _plans.of(response).get(name)
    if plan is None:
        raise ResourceNotFoundException(f"Restore testing plan {name} not found")
    return plan


def _selection(response: Any) -> dict[str, Any]:
    request = parameters(response)
    selection = _selections.of(response).get(_plan(response)[NAME], {}).get(request[SELECTION_NAME])
    if selection is None:
        raise ResourceNotFoundException(f"Restore testing selection {request[SELECTION_NAME]} not found")
    return selection
