"""The operations that list what there is, and those of AWS that this emulation refuses."""

from __future__ import annotations

from ollama_gpu.embedded_aws.autoscaling import group_metrics, lifecycle, policies
from ollama_gpu.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.embedded_aws.autoscaling.group import Json

from .request import Handler, Request

NOTIFICATION_TYPES = (
    "autoscaling:EC2_INSTANCE_LAUNCH",
    "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
    "autoscaling:EC2_INSTANCE_TERMINATE",
    "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
    "autoscaling:TEST_NOTIFICATION",
)
_TERMINATION_POLICIES = (
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
)


def describe_account_limits(request: Request) -> Json:
    return {
        "MaxNumberOfAutoScalingGroups": 500,
        "MaxNumberOfLaunchConfigurations": 0,
        "NumberOfAutoScalingGroups": len(request.region.groups),
        "NumberOfLaunchConfigurations": 0,
    }


def describe_adjustment_types(_request: Request) -> Json:
    return {"AdjustmentTypes": [{"AdjustmentType": name} for name in policies.ADJUSTMENTS]}


def describe_auto_scaling_notification_types(_request: Request) -> Json:
    return {"AutoScalingNotificationTypes": list(NOTIFICATION_TYPES)}


def describe_lifecycle_hook_types(_request: Request) -> Json:
    return {"LifecycleHookTypes": [lifecycle.LAUNCHING, lifecycle.TERMINATING]}


def describe_metric_collection_types(_request: Request) -> Json:
    return {
        "Metrics": [{"Metric": name} for name in group_metrics.METRICS],
        "Granularities": [{"Granularity": "1Minute"}],
    }


def describe_termination_policy_types(_request: Request) -> Json:
    return {"TerminationPolicyTypes": list(_TERMINATION_POLICIES)}


def describe_warm_pool(request: Request) -> Json:
    request.group()
    return {"Instances": []}


def put_warm_pool(_request: Request) -> None:
    raise ValidationError("The embedded AWS has no warm pools.")


def delete_warm_pool(request: Request) -> None:
    request.group()


def create_launch_configuration(_request: Request) -> None:
    # what AWS answers to accounts made since October 2024
    raise ValidationError(
        "The Launch Configuration creation operation is not available in your account. Use launch templates to "
        "create configuration templates for your Auto Scaling groups."
    )


HANDLERS: tuple[Handler, ...] = (
    describe_account_limits,
    describe_adjustment_types,
    describe_auto_scaling_notification_types,
    describe_lifecycle_hook_types,
    describe_metric_collection_types,
    describe_termination_policy_types,
    describe_warm_pool,
    put_warm_pool,
    delete_warm_pool,
    create_launch_configuration,
)
