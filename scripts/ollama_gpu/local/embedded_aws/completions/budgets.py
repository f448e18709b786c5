"""Budgets: subscribers of a notification, UpdateBudget, and tags.

moto 5.2.5 stores the subscribers but cannot list them, and it has neither UpdateBudget nor tags.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.budgets.exceptions import NotFoundException
from moto.budgets.responses import BudgetsResponse
from moto.core.utils import unix_time

from .patching import add_operations, around

DETAILS = ("NotificationType", "ComparisonOperator", "Threshold")
"""The fields that identify a notification of a budget."""


def apply() -> None:
    """Patch moto's Budgets."""
    add_operations(
        BudgetsResponse,
        describe_subscribers_for_notification,
        list_tags_for_resource,
        tag_resource,
        untag_resource,
        update_budget,
    )

    @around(BudgetsResponse, "create_budget")
    def create_budget(original: Callable[..., str], self: Any) -> str:
        answer = original(self)
        budget = _budget(self, self._get_param("Budget")["BudgetName"])
        _tags(budget).update(_read(self._get_param("ResourceTags")))
        return answer


def describe_subscribers_for_notification(self: Any) -> str:
    """DescribeSubscribersForNotification."""
    request = self._get_param("Notification")
    for notification in _budget(self, self._get_param("BudgetName")).notifications:
        if all(notification.details[key] == request[key] for key in DETAILS):
            return json.dumps({"Subscribers": notification.subscribers})
    raise NotFoundException("The notification does not exist.")


def update_budget(self: Any) -> str:
    """UpdateBudget: replace the budget and keep its notifications."""
    new = self._get_param("NewBudget")
    budget = _budget(self, new["BudgetName"])
    budget.budget = {"TimePeriod": budget.budget["TimePeriod"], **new, "LastUpdatedTime": unix_time()}
    return json.dumps({})


def tag_resource(self: Any) -> str:
    """TagResource."""
    _tags(_tagged(self)).update(_read(self._get_param("ResourceTags")))
    return json.dumps({})


def untag_resource(self: Any) -> str:
    """UntagResource."""
    for key in self._get_param("ResourceTagKeys"):
        _tags(_tagged(self)).pop(key, None)
    return json.dumps({})


def list_tags_for_resource(self: Any) -> str:
    """ListTagsForResource."""
    tags = _tags(_tagged(self))
    return json.dumps({"ResourceTags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]})


def _tagged(response: Any) -> Any:
    """Return the budget of the ARN ``arn:aws:budgets::<account>:budget/<name>``."""
    return _budget(response, response._get_param("ResourceARN").rpartition("/")[2])


def _budget(response: Any, name: str) -> Any:
    budgets = response.backend.budgets[response.current_account]
    if name not in budgets:
        raise NotFoundException(f"Unable to get budget: {name} - the budget doesn't exist.")
    return budgets[name]


def _tags(budget: Any) -> dict[str, str]:
    tags: dict[str, str] = budget.__dict__.setdefault("tags", {})
    return tags


def _read(tags: list[dict[str, str]] | None) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or []}
