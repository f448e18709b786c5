"""The data of Auto Scaling: groups, instances, policies, hooks, scheduled actions, refreshes and activities.

Every other module of the package imports these classes from here, so that no two of them import each other.
`Group` replaces moto's FakeAutoScalingGroup.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Json = dict[str, Any]

PENDING = "Pending"
PENDING_WAIT = "Pending:Wait"
IN_SERVICE = "InService"
STANDBY = "Standby"
TERMINATING = "Terminating"
TERMINATING_WAIT = "Terminating:Wait"
"""Lifecycle states of an instance."""

HEALTHY = "Healthy"
UNHEALTHY = "Unhealthy"

CONTINUE = "CONTINUE"
ABANDON = "ABANDON"
"""Results of a lifecycle action."""

# AWS uses the smaller of the two limits. Follows: Amazon EC2 Auto Scaling API Reference, PutLifecycleHook.
_GLOBAL_TIMEOUT_SECONDS = 172800
_GLOBAL_TIMEOUT_HEARTBEATS = 100


@dataclass(frozen=True)
class Place:
    """A zone and subnet for instances. Without a subnet, EC2 uses the zone's default subnet."""

    zone: str
    subnet: str | None


@dataclass(frozen=True)
class Template:
    """The launch template version that an instance was launched from."""

    id: str
    name: str
    version: str

    def describe(self) -> Json:
        return {"LaunchTemplateId": self.id, "LaunchTemplateName": self.name, "Version": self.version}


@dataclass(frozen=True)
class Configuration:
    """What a group launches, as the API describes it. Exactly one of the two attributes is set."""

    launch_template: Json | None = None
    mixed_instances_policy: Json | None = None

    @property
    def template(self) -> Json:
        """The launch template specification, from either attribute."""
        if self.mixed_instances_policy is not None:
            return dict(self.mixed_instances_policy["LaunchTemplate"]["LaunchTemplateSpecification"])
        return dict(self.launch_template or {})

    @property
    def overrides(self) -> list[Json]:
        policy = self.mixed_instances_policy
        return list(policy["LaunchTemplate"]["Overrides"]) if policy else []

    @property
    def distribution(self) -> Json:
        return dict(self.mixed_instances_policy["InstancesDistribution"]) if self.mixed_instances_policy else {}

    def describe(self) -> Json:
        return {
            "LaunchTemplate": self.launch_template,
            "MixedInstancesPolicy": self.mixed_instances_policy,
        }


@dataclass
class Activity:
    """A scaling activity: one launch or termination."""

    group: str
    group_arn: str
    description: str
    cause: str
    start: datetime
    details: str
    status: str = "InProgress"
    message: str | None = None
    progress: int = 0
    end: datetime | None = None
    group_deleted: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def close(self, status: str, now: datetime, message: str | None = None) -> None:
        """End the activity. Closing it a second time changes nothing."""
        if self.end is None:
            self.status, self.end, self.progress, self.message = status, now, 100, message

    def describe(self) -> Json:
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "AutoScalingGroupARN": self.group_arn,
            "AutoScalingGroupState": "Deleted" if self.group_deleted else None,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.start,
            "EndTime": self.end,
            "StatusCode": self.status,
            "StatusMessage": self.message,
            "Progress": self.progress,
            "Details": self.details,
        }


@dataclass
class LifecycleHook:
    """A lifecycle hook of a group. ``heartbeat_timeout`` is in seconds."""

    name: str
    group: str
    transition: str
    heartbeat_timeout: int = 3600
    default_result: str = ABANDON

    @property
    def global_timeout(self) -> int:
        return min(_GLOBAL_TIMEOUT_HEARTBEATS * self.heartbeat_timeout, _GLOBAL_TIMEOUT_SECONDS)

    def describe(self) -> Json:
        return {
            "LifecycleHookName": self.name,
            "AutoScalingGroupName": self.group,
            "LifecycleTransition": self.transition,
            "HeartbeatTimeout": self.heartbeat_timeout,
            "GlobalTimeout": self.global_timeout,
            "DefaultResult": self.default_result,
        }


@dataclass
class LifecycleAction:
    """The action of one hook for one instance."""

    hook: LifecycleHook
    deadline: datetime
    latest: datetime
    result: str | None = None
    reason: str = ""
    token: str = field(default_factory=lambda: str(uuid.uuid4()))

    def complete(self, result: str, reason: str) -> None:
        self.result, self.reason = result, reason

    def heartbeat(self, now: datetime) -> None:
        self.deadline = min(now + timedelta(seconds=self.hook.heartbeat_timeout), self.latest)


@dataclass(frozen=True)
class Replacement:
    """The reason to replace an instance, and whether its successor must be in service first."""

    reason: str
    launch_first: bool


@dataclass
class Member:
    """An instance of a group. ``ec2`` is moto's instance; the other attributes belong to Auto Scaling."""

    ec2: Any
    place: Place
    template: Template
    spot: bool
    launched: datetime
    protected: bool
    lifecycle_state: str = PENDING
    health: str = HEALTHY
    in_service_since: datetime | None = None
    mark: Replacement | None = None
    actions: list[LifecycleAction] = field(default_factory=list)
    activity: Activity | None = None

    @property
    def id(self) -> str:
        return str(self.ec2.id)

    @property
    def running(self) -> bool:
        return bool(self.ec2.state in ("pending", "running"))

    @property
    def pending(self) -> bool:
        return self.lifecycle_state.startswith(PENDING)

    @property
    def in_service(self) -> bool:
        return self.lifecycle_state == IN_SERVICE

    @property
    def terminating(self) -> bool:
        return self.lifecycle_state.startswith(TERMINATING)

    @property
    def counts(self) -> bool:
        """Whether the instance is part of the group's capacity: it is pending or in service."""
        return self.pending or self.in_service

    def describe(self) -> Json:
        return {
            "InstanceId": self.id,
            "InstanceType": self.ec2.instance_type,
            "AvailabilityZone": self.place.zone,
            "LifecycleState": self.lifecycle_state,
            "HealthStatus": self.health,
            "LaunchTemplate": self.template.describe(),
            "ImageId": self.ec2.image_id,
            "ProtectedFromScaleIn": self.protected,
        }


@dataclass
class Policy:
    """A scaling policy. ``given`` holds the parameters of the request by their API names."""

    name: str
    group: str
    arn: str
    kind: str
    given: Json
    alarms: list[tuple[str, str]] = field(default_factory=list)  # name, ARN

    @property
    def enabled(self) -> bool:
        return bool(self.given.get("Enabled", True))

    @property
    def tracking(self) -> Json:
        return dict(self.given.get("TargetTrackingConfiguration") or {})


@dataclass
class ScheduledAction:
    """A scheduled action. ``due`` is its next time, None if it has no further occurrence."""

    name: str
    group: str
    arn: str
    due: datetime | None
    end: datetime | None
    recurrence: str | None
    time_zone: str | None
    min_size: int | None
    max_size: int | None
    desired_capacity: int | None

    def describe(self) -> Json:
        return {
            "AutoScalingGroupName": self.group,
            "ScheduledActionName": self.name,
            "ScheduledActionARN": self.arn,
            "Time": self.due,
            "StartTime": self.due,
            "EndTime": self.end,
            "Recurrence": self.recurrence,
            "TimeZone": self.time_zone,
            "MinSize": self.min_size,
            "MaxSize": self.max_size,
            "DesiredCapacity": self.desired_capacity,
        }


class RefreshStatus:
    """Statuses of an instance refresh."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    BAKING = "Baking"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    ROLLBACK_IN_PROGRESS = "RollbackInProgress"
    ROLLBACK_SUCCESSFUL = "RollbackSuccessful"
    ROLLBACK_FAILED = "RollbackFailed"

    ACTIVE = (PENDING, IN_PROGRESS, BAKING, CANCELLING, ROLLBACK_IN_PROGRESS)


@dataclass
class Refresh:
    """An instance refresh of a group. ``preferences`` are the request's, by API name, with the defaults filled in."""

    group: str
    preferences: Json
    desired: Configuration | None
    start: datetime
    status: str = RefreshStatus.PENDING
    reason: str | None = None
    end: datetime | None = None
    total: int = 0
    remaining: int = 0
    percentage: int = 0
    todo: set[str] = field(default_factory=set)  # ids of the instances still to be replaced
    successors: set[str] = field(default_factory=set)  # ids of the instances launched from the new configuration
    failures: int = 0  # number of successors that were lost
    progress: tuple[int, int] = (-1, -1)
    progress_at: datetime | None = None
    bake_until: datetime | None = None
    rollback: Json | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def active(self) -> bool:
        return self.status in RefreshStatus.ACTIVE

    @property
    def rolling_back(self) -> bool:
        return self.status == RefreshStatus.ROLLBACK_IN_PROGRESS

    def preference(self, name: str, default: Any = None) -> Any:
        value = self.preferences.get(name)
        return default if value is None else value

    def describe(self) -> Json:
        described = {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": self.group,
            "Strategy": "Rolling",
            "Status": self.status,
            "StatusReason": self.reason,
            "StartTime": self.start,
            "EndTime": self.end,
            "PercentageComplete": self.percentage,
            "InstancesToUpdate": self.remaining,
            "Preferences": self.preferences,
            "DesiredConfiguration": self.desired.describe() if self.desired else None,
        }
        if self.rollback is not None:
            described["RollbackDetails"] = self.rollback
        return described


@dataclass
class Group:
    """An Auto Scaling group and everything that is deleted with it."""

    name: str
    arn: str
    created: datetime
    configuration: Configuration
    places: list[Place]
    min_size: int
    max_size: int
    desired_capacity: int
    default_cooldown: int = 300
    health_check_type: str = "EC2"
    health_check_grace_period: int = 0
    target_group_arns: list[str] = field(default_factory=list)
    termination_policies: list[str] = field(default_factory=lambda: ["Default"])
    new_instances_protected: bool = False
    capacity_rebalance: bool = False
    # attributes without an effect, by API name: stored and read back
    kept: Json = field(default_factory=dict)
    default_instance_warmup: int | None = None
    max_instance_lifetime: int | None = None
    maintenance_policy: Json | None = None
    tags: list[Json] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    suspended: list[str] = field(default_factory=list)

    members: list[Member] = field(default_factory=list)
    hooks: dict[str, LifecycleHook] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    scheduled: dict[str, ScheduledAction] = field(default_factory=dict)
    refreshes: list[Refresh] = field(default_factory=list)  # newest first

    # what an unfinished refresh launches instead of the configuration
    launching: Configuration | None = None
    # start of the activities' cause while the capacity differs from the desired capacity
    change: str | None = None
    # the cause of each replacement that is still to be launched
    vacancies: list[str] = field(default_factory=list)
    failed_launches: int = 0  # in a row
    no_launch_before: datetime | None = None
    registered: dict[str, set[str]] = field(default_factory=dict)  # target group ARN: instance ids
    tracked_at: datetime | None = None
    measured_at: datetime | None = None
    deleting: bool = False

    @property
    def load_balancer_names(self) -> list[str]:
        """Classic load balancers, always none. moto's own operations read this attribute."""
        return []

    @property
    def current_configuration(self) -> Configuration:
        """The configuration of the next instance."""
        return self.launching or self.configuration

    def capacity(self) -> list[Member]:
        return [member for member in self.members if member.counts]

    def member(self, instance_id: str) -> Member | None:
        return next((member for member in self.members if member.id == instance_id), None)

    def warmup(self) -> int:
        """Seconds until a new instance counts as warm."""
        if self.default_instance_warmup is not None:
            return self.default_instance_warmup
        return self.default_cooldown

    def allows(self, process: str) -> bool:
        return process not in self.suspended

    def propagated_tags(self) -> Iterator[tuple[str, str]]:
        for tag in self.tags:
            if tag["PropagateAtLaunch"]:
                yield tag["Key"], tag["Value"]

    def resize(self, desired: int, cause: str) -> None:
        """Set the desired capacity. ``cause`` starts the activities' cause, e.g. 'At ... a user request ...'."""
        if desired != self.desired_capacity:
            self.change = f"{cause} changing the desired capacity from {self.desired_capacity} to {desired}."
            self.no_launch_before = None  # a new request ends the back-off
        self.desired_capacity = desired

    def mark(self, member: Member, replacement: Replacement, launch_reason: str) -> None:
        """Have the next convergence replace an instance."""
        member.mark = replacement
        self.vacancies.append(launch_reason)
