"""Budgets: what the provider reads back after it has made one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu import contract, leftovers
from ollama_gpu.aws import Aws
from ollama_gpu.embedded_aws.process import Endpoint
from ollama_gpu.paths import locate

from .conftest import REGION

Client = Callable[[str], Any]

ACTUAL = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
TOPIC = {"SubscriptionType": "SNS", "Address": "arn:aws:sns:us-east-1:123456789012:alarms"}


def test_a_budget_round_trips_with_subscribers_tags_and_changes(client: Client) -> None:
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
    asked = {"AccountId": account, "BudgetName": "monthly"}
    assert budgets.describe_subscribers_for_notification(**asked, Notification=ACTUAL)["Subscribers"] == [TOPIC]
    with pytest.raises(ClientError, match="does not exist"):
        budgets.describe_subscribers_for_notification(**asked, Notification={**ACTUAL, "Threshold": 90.0})

    budgets.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "Environment", "Value": "e"}])
    budgets.untag_resource(ResourceARN=arn, ResourceTagKeys=["Project"])
    assert budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "Environment", "Value": "e"}]

    began = budgets.describe_budget(**asked)["Budget"]["TimePeriod"]
    budgets.update_budget(AccountId=account, NewBudget={**budget, "BudgetLimit": {"Amount": "200", "Unit": "USD"}})
    seen = budgets.describe_budget(**asked)["Budget"]
    assert (float(seen["BudgetLimit"]["Amount"]), seen["TimePeriod"]) == (200.0, began)
    with pytest.raises(ClientError, match="doesn't exist"):
        budgets.update_budget(AccountId=account, NewBudget={**budget, "BudgetName": "another"})


def test_a_budget_that_was_left_is_found_by_the_walk(client: Client, endpoint: Endpoint, name: str) -> None:
    agreed = contract.load(locate().contract)
    account = client("sts").get_caller_identity()["Account"]
    budget = {
        "BudgetName": f"{agreed.project}-{name}-monthly",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": "100", "Unit": "USD"},
    }
    client("budgets").create_budget(AccountId=account, Budget=budget)
    assert leftovers.find(name, agreed, Aws(REGION, endpoint.url)) == [f"budget {budget['BudgetName']}"]
    client("budgets").delete_budget(AccountId=account, BudgetName=budget["BudgetName"])
    assert leftovers.find(name, agreed, Aws(REGION, endpoint.url)) == []
