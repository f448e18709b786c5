"""CloudWatch alarms: composite alarms, states that survive an update, history, and evaluation.

moto 5.2.5 has no PutCompositeAlarm, resets the state of an alarm with every update, creates alarms in the state OK, and
never evaluates them. ``cloudwatch_evaluation`` has the evaluation.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from . import cloudwatch_evaluation, cloudwatch_metrics
from .cloudwatch_rules import RuleError, alarms_named_in
from .patching import add_operations, around


def apply() -> None:
    """Patch moto's CloudWatch."""
    cloudwatch_metrics.apply()
    Alarm.alarm_rule = property(lambda self: self.rule)
    add_operations(CloudWatchResponse, put_composite_alarm, describe_alarm_history)

    @around(CloudWatchBackend, "put_metric_alarm")
    def put_metric_alarm(original: Callable[..., Any], self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        before = self.alarms.get(name)
        alarm = original(self, name, *args, **kwargs)
        if before is None:
            alarm.state_value = "INSUFFICIENT_DATA"
        else:  # an update keeps the state
            for attribute in (
                "state_value",
                "state_reason",
                "state_reason_data",
                "state_updated_timestamp",
                "history",
            ):
                setattr(alarm, attribute, getattr(before, attribute))
        return alarm

    @around(CloudWatchResponse, "describe_alarms")
    def describe_alarms(original: Callable[..., Any], self: Any) -> ActionResult:
        cloudwatch_evaluation.evaluate(self.cloudwatch_backend)
        answer = original(self).result
        kinds = self._get_param("AlarmTypes") or ["MetricAlarm"]  # the default of AWS omits composite alarms
        return ActionResult({f"{kind}s": answer[f"{kind}s"] for kind in kinds})

    @around(CloudWatchBackend, "set_alarm_state")
    def set_alarm_state(
        original: Callable[..., Any],
        self: Any,
        alarm_name: str,
        reason: str,
        reason_data: str,
        state_value: str,
    ) -> None:
        before = getattr(self.alarms.get(alarm_name), "state_value", None)
        original(self, alarm_name, reason, reason_data, state_value)
        alarm = self.alarms[alarm_name]
        cloudwatch_evaluation.hold(alarm)
        if before != state_value:
            cloudwatch_evaluation.act(self, alarm, before or "INSUFFICIENT_DATA")
        cloudwatch_evaluation.evaluate(self)

    @around(CloudWatchBackend, "delete_alarms")
    def delete_alarms(original: Callable[..., Any], self: Any, alarm_names: list[str]) -> None:
        for alarm in self.alarms.values():
            children = alarms_named_in(alarm.rule) if alarm.rule and alarm.name not in alarm_names else set()
            if children & set(alarm_names):
                raise ValidationError(f"The composite alarm {alarm.name} still references it")
        original(self, alarm_names)


def put_composite_alarm(self: Any) -> EmptyResult:
    """PutCompositeAlarm. Every alarm in the rule must exist, as on AWS."""
    backend, name, rule = self.cloudwatch_backend, self._get_param("AlarmName"), self._get_param("AlarmRule")
    try:
        unknown = sorted(each for each in alarms_named_in(rule) if each.split(":alarm:")[-1] not in backend.alarms)
    except RuleError as error:
        raise ValidationError(f"AlarmRule is not valid: {error}") from error
    if unknown:
        raise ValidationError(f"AlarmRule names alarms that do not exist: {', '.join(unknown)}")
    alarm = backend.put_metric_alarm(
        name=name,
        namespace=None,
        metric_name=None,
        comparison_operator=None,
        evaluation_periods=None,
        period=None,
        threshold=None,
        statistic=None,
        description=self._get_param("AlarmDescription"),
        dimensions=[],
        alarm_actions=self._get_param("AlarmActions", []),
        ok_actions=self._get_param("OKActions", []),
        insufficient_data_actions=self._get_param("InsufficientDataActions", []),
        actions_enabled=self._get_bool_param("ActionsEnabled"),
        rule=rule,
        tags=self._get_param("Tags", []),
    )
    alarm.actions_suppressor = self._get_param("ActionsSuppressor")
    alarm.actions_suppressor_wait_period = self._get_param("ActionsSuppressorWaitPeriod")
    alarm.actions_suppressor_extension_period = self._get_param("ActionsSuppressorExtensionPeriod")
    cloudwatch_evaluation.evaluate(backend)
    return EmptyResult()


def describe_alarm_history(self: Any) -> ActionResult:
    """DescribeAlarmHistory: the state changes, newest first, in one page."""
    name = self._get_param("AlarmName")
    items = []
    for alarm in self.cloudwatch_backend.alarms.values():
        if name not in (None, alarm.name):
            continue
        # moto's history has only the previous states: pair each with the state that followed
        states = [(each[3], each[4], each[1]) for each in alarm.history]
        states.append((alarm.state_value, alarm.state_updated_timestamp, alarm.state_reason))
        for (old, _, _), (new, when, reason) in itertools.pairwise(states):
            items.append(
                {
                    "AlarmName": alarm.name,
                    "AlarmType": "CompositeAlarm" if alarm.rule else "MetricAlarm",
                    "Timestamp": when,
                    "HistoryItemType": "StateUpdate",
                    "HistorySummary": f"Alarm updated from {old} to {new}",
                    "HistoryData": json.dumps(
                        {
                            "version": "1.0",
                            "oldState": {"stateValue": old},
                            "newState": {"stateValue": new, "stateReason": reason},
                        }
                    ),
                }
            )
    items.sort(key=lambda item: item["Timestamp"], reverse=True)
    return ActionResult({"AlarmHistoryItems": items})
