"""The state of an Auto Scaling group and of its instances. It takes the place of moto's FakeAutoScalingGroup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activities import Activity
    from .lifecycle import LifecycleAction, LifecycleHook
    from .policies import Policy
    from .refresh import Refresh
    from .schedule import ScheduledAction

Json = dict[str, Any]

PENDING = "Pending"
PENDING_WAIT = "Pending:Wait"
IN_SERVICE = "InService"
STANDBY = "Standby"
TERMINATING = "Terminating"
TERMINATING_WAIT = "Terminating:Wait"

HEALTHY = "Healthy"
UNHEALTHY = "Unhealthy"


@dataclass(frozen=True)
class Place:
    """Where an instance can be launched; a group without subnets uses the default one of the zone."""

    zone: str
    subnet: str | None


@dataclass(frozen=True)
class Template:
    """The launch template version an instance was launched from."""

    id: str
    name: str
    version: str

    def describe(self) -> Json:
        return {"LaunchTemplateId": self.id, "LaunchTemplateName": self.name, "Version": self.version}


@dataclass(frozen=True)
class Configuration:
    """What a group launches: exactly one of the two is set, in the API's own shape."""

    launch_template: Json | None = None
    mixed_instances_policy: Json | None = None

    @property
    def template(self) -> Json:
        """The launch template specification, whichever way it is given."""
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


@dataclass(frozen=True)
class Replacement:
    """Why an instance is to be replaced, and whether its successor must be in service first."""

    reason: str
    launch_first: bool


@dataclass
class Member:
    """An instance of a group. ``ec2`` is moto's instance, the rest is what Auto Scaling knows of it."""

    ec2: Any
    place: Place
    template: Template
    spot: bool
    weight: int
    weighted: bool
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
        """Whether it is part of the group's capacity, as one that leaves or stands by is not."""
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
            "WeightedCapacity": str(self.weight) if self.weighted else None,
        }


def weight(members: Iterable[Member]) -> int:
    """The capacity of instances in the group's unit: their number, unless the overrides weigh them."""
    return sum(member.weight for member in members)


@dataclass
class Group:
    """An Auto Scaling group with everything that belongs to it and goes with it."""

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
    # attributes that are only kept and read back, by their API names
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
    notifications: dict[str, list[str]] = field(default_factory=dict)  # topic ARN: notification types

    # what an unfinished refresh launches instead of the configuration
    launching: Configuration | None = None
    # the sentence that tells why the capacity is to change, until it has
    change: str | None = None
    # a sentence for each replacement that is still to be launched
    vacancies: list[str] = field(default_factory=list)
    failed_launches: int = 0  # in a row
    no_launch_before: datetime | None = None
    registered: dict[str, set[str]] = field(default_factory=dict)  # target group ARN: instances
    tracked_at: datetime | None = None
    measured_at: datetime | None = None
    scaled_at: datetime | None = None
    deleting: bool = False

    @property
    def load_balancer_names(self) -> list[str]:
        """Classic load balancers, which moto's remaining operations ask for: there are none."""
        return []

    @property
    def current_configuration(self) -> Configuration:
        """What the next instance is launched from."""
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
        """Set the desired capacity; ``cause`` is the sentence's middle, e.g. 'At ... a user request ...'."""
        if desired != self.desired_capacity:
            self.change = f"{cause} changing the desired capacity from {self.desired_capacity} to {desired}."
            self.no_launch_before = None  # a person or a policy asks: no reason to sit out the back-off
        self.desired_capacity = desired

    def mark(self, member: Member, replacement: Replacement, launch_reason: str) -> None:
        """Have a member replaced by the next convergence."""
        member.mark = replacement
        self.vacancies.append(launch_reason)
