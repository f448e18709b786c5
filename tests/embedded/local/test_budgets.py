"""Budgets: what the Terraform provider reads back after it has created one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.environment.embedded_aws import Endpoint
from ollama_gpu.fabric import leftovers
from tests.contexts import context_of
from tests.embedded.conftest import REGION

Client = Callable[[str], Any]

ACTUAL = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
TOPIC = {"SubscriptionType": "SNS", "Address": "arn:aws:sns:us-east-1:123456789012:alarms"}


def test_budget_reads_back_with_subscribers_tags_and_updates(client: Client) -> None:
    budgets = client("budgets")
    account = client("sts").get_caller_identity()["Account"]
    budget = {
        "BudgetName": "monthly",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "100", "Unit": "USD"},
    }
    arn = f"arn:aws:budgets::{account}:budget/monthly"
    budgets.create_budget(
        AccountId=account,
        Budget=budget,
        NotificationsWithSubscribers=[{"Notification": ACTUAL, "Subscribers": [TOPIC]}],
        ResourceTags=[{"Key": "Project", "Value": "p"}],
    )
    key = {"AccountId": account, "BudgetName": "monthly"}
    assert budgets.describe_subscribers_for_notification(**key, Notification=ACTUAL)["Subscribers"] == [TOPIC]
    with pytest.raises(ClientError, match="does not exist"):
        budgets.describe_subscribers_for_notification(**key, Notification={**ACTUAL, "Threshold": 90.0})

    budgets.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "Environment", "Value": "e"}])
    budgets.untag_resource(ResourceARN=arn, ResourceTagKeys=["Project"])
    assert budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "Environment", "Value": "e"}]

    began = budgets.describe_budget(**key)["Budget"]["TimePeriod"]
    budgets.update_budget(AccountId=account, NewBudget={**budget, "BudgetLimit": {"Amount": "200", "Unit": "USD"}})
    seen = budgets.describe_budget(**key)["Budget"]
    assert (float(seen["BudgetLimit"]["Amount"]), seen["TimePeriod"]) == (200.0, began)
    with pytest.raises(ClientError, match="doesn't exist"):
        budgets.update_budget(AccountId=account, NewBudget={**budget, "BudgetName": "another"})


def test_leftover_budget_is_found(client: Client, endpoint: Endpoint, name: str) -> None:
    agreed = contract.load(locate().contract)
    account = client("sts").get_caller_identity()["Account"]
    budget = {
        "BudgetName": f"{agreed.project}-{name}-monthly",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "100", "Unit": "USD"},
    }
    client("budgets").create_budget(AccountId=account, Budget=budget)
    environment = replace(settings.load(locate(), "dev"), name=name)
    context = context_of(environment, agreed, Aws(REGION, endpoint.url))
    assert leftovers.find(context) == [f"budget {budget['BudgetName']}"]
    client("budgets").delete_budget(AccountId=account, BudgetName=budget["BudgetName"])
    assert leftovers.find(context) == []
