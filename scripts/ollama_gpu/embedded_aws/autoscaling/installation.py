"""Puts this emulation in the place of moto's: its operations, its target health, its alarms' actions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.autoscaling.models import AutoScalingBackend
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from ollama_gpu.embedded_aws.completions import cloudwatch_evaluation
from ollama_gpu.embedded_aws.exclusion import backends_lock

from . import api, policies, targets
from .api.request import Handler, Request
from .region import region_of


@functools.cache
def apply() -> None:
    """Patch moto, once per process."""
    for name, handler in api.OPERATIONS.items():
        setattr(AutoScalingResponse, name, _operation(name, handler))
    # EC2's TerminateInstances calls it; the next tick sees for itself, as AWS does by its health checks
    AutoScalingBackend.notify_terminate_instances = lambda _self, _instance_ids: None
    targets.complete()
    cloudwatch_evaluation.action_handlers["autoscaling"] = _act_on_alarm


def _operation(name: str, handler: Handler) -> Callable[[Any], ActionResult]:
    def operation(self: Any) -> ActionResult:
        with backends_lock:
            region = region_of(self.autoscaling_backend)
            answer = handler(Request(region, dict(self.params), region.now()))
        return EmptyResult() if answer is None else ActionResult(answer)

    operation.__name__ = name
    return operation


def _act_on_alarm(backend: Any, alarm: Any, arn: str, message: dict[str, Any]) -> None:
    """An alarm of CloudWatch that names a scaling policy as its action; ``backend`` is CloudWatch's."""
    from moto.autoscaling.models import autoscaling_backends

    if message["NewStateValue"] != "ALARM":
        return
    region = region_of(autoscaling_backends[backend.account_id][backend.region_name])
    policies.on_alarm(region, arn, alarm, _latest(backend, alarm), region.now())


def _latest(backend: Any, alarm: Any) -> float | None:
    """The newest period's value of a plain metric alarm; None for metric math, where the threshold stands in."""
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
