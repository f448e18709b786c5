"""Replace moto's Auto Scaling operations, its target health, and the alarm actions for scaling policies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.autoscaling.models import AutoScalingBackend
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, get_service_model

from ollama_gpu.local.embedded_aws.completions import cloudwatch_evaluation
from ollama_gpu.local.embedded_aws.lock import backends_lock

from . import api, policies, targets
from .api.request import Handler, Request
from .region import region_of


@functools.cache
def apply() -> None:
    """Patch moto. Further calls do nothing."""
    for name in _moto_operations():
        delattr(AutoScalingResponse, name)  # moto's own operations do not fit the groups of this package
    for name, handler in api.OPERATIONS.items():
        setattr(AutoScalingResponse, name, _operation(name, handler))
    # TerminateInstances of EC2 calls it. Here the next tick detects the termination, like a health check of AWS.
    AutoScalingBackend.notify_terminate_instances = lambda _self, _instance_ids: None
    targets.patch()
    cloudwatch_evaluation.action_handlers["autoscaling"] = _act_on_alarm


def _moto_operations() -> list[str]:
    names = map(camelcase_to_underscores, get_service_model("autoscaling").operation_names)
    return [name for name in names if name in vars(AutoScalingResponse)]


def _operation(name: str, handler: Handler) -> Callable[[Any], ActionResult]:
    def operation(self: Any) -> ActionResult:
        with backends_lock:
            region = region_of(self.autoscaling_backend)
            answer = handler(Request(region, dict(self.params), region.now()))
        return EmptyResult() if answer is None else ActionResult(answer)

    operation.__name__ = name
    return operation


def _act_on_alarm(backend: Any, alarm: Any, arn: str, message: dict[str, Any]) -> None:
    """Execute the scaling policy that a CloudWatch alarm has as its action. ``backend`` is CloudWatch's."""
    from moto.autoscaling.models import autoscaling_backends

    if message["NewStateValue"] != "ALARM":
        return
    region = region_of(autoscaling_backends[backend.account_id][backend.region_name])
    policies.on_alarm(region, arn, alarm, _latest(backend, alarm), region.now())


def _latest(backend: Any, alarm: Any) -> float | None:
    """Return the latest value of an alarm on one metric. None for metric math: the caller then uses the threshold."""
    if not alarm.metric_name or not alarm.period:
        return None
    start = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=int(alarm.period))
    wanted = sorted((each.name, each.value) for each in alarm.dimensions)
    data = [
        datum
        for datum in backend.metric_data
        if datum.name == alarm.metric_name
        and datum.namespace == alarm.namespace
        and datum.timestamp >= start
        and sorted((each.name, each.value) for each in datum.dimensions) == wanted
    ]
    return cloudwatch_evaluation.summarize(data, alarm.statistic or alarm.extended_statistic)
