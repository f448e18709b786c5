"""Groups: create, update, delete, describe, capacity, processes, metrics and activities."""

from __future__ import annotations

import uuid

from ollama_gpu.local.embedded_aws.autoscaling import activities, group_metrics, reconcile, template
from ollama_gpu.local.embedded_aws.autoscaling.errors import (
    AlreadyExists,
    ResourceInUse,
    ScalingActivityInProgress,
    ValidationError,
)
from ollama_gpu.local.embedded_aws.autoscaling.model import Configuration, Group, Json, Place
from ollama_gpu.local.embedded_aws.autoscaling.region import Region

from . import hooks, load_balancing, tags
from .request import Handler, Request

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
_KEPT = (
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityReservationSpecification",
    "Context",
    "DeletionProtection",
    "DesiredCapacityType",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
)
_KEPT_DEFAULTS: Json = {
    "AvailabilityZoneDistribution": {"CapacityDistributionStrategy": "balanced-best-effort"},
    "AvailabilityZoneImpairmentPolicy": {
        "ZonalShiftEnabled": False,
        "ImpairedZoneHealthCheckBehavior": "IgnoreUnhealthy",
    },
    "CapacityReservationSpecification": {"CapacityReservationPreference": "default"},
}


def create_auto_scaling_group(request: Request) -> None:
    region, given, now = request.region, request.given, request.now
    if request.group_name in region.groups:
        raise AlreadyExists(
            f"AutoScalingGroup by this name already exists - A group with the name {request.group_name} already exists"
        )
    if given.get("LaunchConfigurationName") or given.get("InstanceId"):
        raise ValidationError(
            "Launch configurations are not available in your account. Use launch templates to create "
            "configuration templates for your Auto Scaling groups."
        )
    low, high = int(given["MinSize"]), int(given["MaxSize"])
    desired = int(given.get("DesiredCapacity", low))
    _check_bounds(low, high, desired)
    arn = f"arn:{region.partition}:autoscaling:{region.name}:{region.account}:autoScalingGroup:{uuid.uuid4()}"
    group = Group(
        name=request.group_name,
        arn=f"{arn}:autoScalingGroupName/{request.group_name}",
        created=now,
        configuration=template.configuration(region, given.get("LaunchTemplate"), given.get("MixedInstancesPolicy")),
        places=_places(region, given),
        min_size=low,
        max_size=high,
        desired_capacity=0,
        kept=dict(_KEPT_DEFAULTS),
    )
    _set(group, given)
    load_balancing.attach(request.region, group, given.get("TargetGroupARNs") or [])
    tags.put(group, given.get("Tags") or [])
    hooks.put_all(group, given.get("LifecycleHookSpecificationList") or [])
    group.resize(desired, activities.user_creation(now))
    region.groups[group.name] = group


def update_auto_scaling_group(request: Request) -> None:
    region, given = request.region, request.given
    group = region.groups.get(request.group_name)
    if group is None:
        raise ValidationError("AutoScalingGroup name not found - null")
    low = int(given.get("MinSize", group.min_size))
    high = int(given.get("MaxSize", group.max_size))
    desired = given.get("DesiredCapacity")
    if desired is None:
        desired = max(low, min(high, group.desired_capacity)) if low <= high else group.desired_capacity
    _check_bounds(low, high, int(desired))
    # check everything before the first change, so that a rejected update changes nothing
    configuration = group.configuration
    if given.get("LaunchTemplate") or given.get("MixedInstancesPolicy"):
        configuration = template.configuration(
            region, given.get("LaunchTemplate"), given.get("MixedInstancesPolicy"), configuration
        )
    elif given.get("LaunchConfigurationName"):
        raise ValidationError("Launch configurations are not available in your account.")
    if given.get("VPCZoneIdentifier") or given.get("AvailabilityZones"):
        group.places = _places(region, given)
    _configure(group, configuration)
    _set(group, given)
    group.min_size, group.max_size = low, high
    group.resize(int(desired), activities.user_update(low, high, int(desired), request.now))


def _configure(group: Group, configuration: Configuration) -> None:
    if configuration is not group.configuration:
        group.configuration = configuration
        group.no_launch_before = None  # the new configuration may launch where the old one failed


def _set(group: Group, given: Json) -> None:
    """Set the attributes that the request contains. Others keep their values."""
    group.default_cooldown = int(given.get("DefaultCooldown", group.default_cooldown))
    group.health_check_type = given.get("HealthCheckType") or group.health_check_type
    group.health_check_grace_period = int(given.get("HealthCheckGracePeriod", group.health_check_grace_period))
    group.termination_policies = list(given.get("TerminationPolicies") or group.termination_policies)
    group.new_instances_protected = bool(given.get("NewInstancesProtectedFromScaleIn", group.new_instances_protected))
    group.capacity_rebalance = bool(given.get("CapacityRebalance", group.capacity_rebalance))
    if "DefaultInstanceWarmup" in given:  # -1 removes it
        group.default_instance_warmup = _unless_negative(given["DefaultInstanceWarmup"])
    if "MaxInstanceLifetime" in given:  # 0 removes it
        group.max_instance_lifetime = int(given["MaxInstanceLifetime"]) or None
    if "InstanceMaintenancePolicy" in given:  # -1 for both removes it
        policy = {key: _unless_negative(value) for key, value in given["InstanceMaintenancePolicy"].items()}
        group.maintenance_policy = policy if None not in policy.values() and policy else None
    for name in _KEPT:
        if given.get(name) is not None:
            group.kept[name] = given[name]


def _unless_negative(value: int) -> int | None:
    return None if int(value) < 0 else int(value)


def _check_bounds(low: int, high: int, desired: int) -> None:
    if low > high:
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if not low <= desired <= high:
        raise ValidationError(
            f"Desired capacity:{desired} must be between the specified min size:{low} and max size:{high}"
        )


def _places(region: Region, given: Json) -> list[Place]:
    identifier = given.get("VPCZoneIdentifier")
    if identifier:
        places = []
        for subnet_id in [part.strip() for part in identifier.split(",") if part.strip()]:
            found = region.ec2.describe_subnets(filters={"subnet-id": [subnet_id]})
            if not found:
                raise ValidationError(f"The subnet ID '{subnet_id}' does not exist")
            places.append(Place(found[0].availability_zone, subnet_id))
    else:
        places = [Place(zone, None) for zone in given.get("AvailabilityZones") or []]
    zones = given.get("AvailabilityZones")
    if zones and set(zones) != {place.zone for place in places}:
        raise ValidationError("The availability zones of the specified subnets and the Auto Scaling group do not match")
    if not places:
        raise ValidationError("At least one Availability Zone or VPC Subnet is required.")
    return places


def set_desired_capacity(request: Request) -> None:
    group, desired = request.group(), int(request.given["DesiredCapacity"])
    for outside, side, bound in (
        (desired < group.min_size, "below min", group.min_size),
        (desired > group.max_size, "above max", group.max_size),
    ):
        if outside:
            raise ValidationError(
                f"New SetDesiredCapacity value {desired} is {side} value {bound} for the AutoScalingGroup."
            )
    group.resize(desired, activities.user_capacity(request.now))


def delete_auto_scaling_group(request: Request) -> None:
    group = request.group()
    forced = bool(request.given.get("ForceDelete"))
    protection = group.kept.get("DeletionProtection", "none")
    if protection == "prevent-all-deletion" or (forced and protection == "prevent-force-deletion"):
        raise ValidationError(f"The group's deletion protection is {protection}.")
    if group.members and not forced:
        if all(member.terminating for member in group.members):
            raise ScalingActivityInProgress(
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group."
            )
        raise ResourceInUse(
            "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) "
            "still in the group."
        )
    if not group.members:
        reconcile.remove(request.region, group)
        return
    group.deleting = True
    group.min_size = group.max_size = group.desired_capacity = 0


def describe_auto_scaling_groups(request: Request) -> Json:
    groups = list(request.region.groups.values())
    names = request.given.get("AutoScalingGroupNames")
    if names:
        groups = [group for group in groups if group.name in names]
    for condition in request.given.get("Filters") or []:
        groups = [group for group in groups if _matches(group, condition)]
    page, token = request.page(groups, 50)
    return {"AutoScalingGroups": [describe(group) for group in page], "NextToken": token}


def _matches(group: Group, condition: Json) -> bool:
    name, values = condition["Name"], condition.get("Values") or []
    if name == "tag-key":
        return any(tag["Key"] in values for tag in group.tags)
    if name == "tag-value":
        return any(tag["Value"] in values for tag in group.tags)
    return any(f"tag:{tag['Key']}" == name and tag["Value"] in values for tag in group.tags)


def describe(group: Group) -> Json:
    subnets = [place.subnet for place in group.places if place.subnet]
    return (
        group.kept
        | group.configuration.describe()
        | {
            "AutoScalingGroupName": group.name,
            "AutoScalingGroupARN": group.arn,
            "CreatedTime": group.created,
            "MinSize": group.min_size,
            "MaxSize": group.max_size,
            "DesiredCapacity": group.desired_capacity,
            "DefaultCooldown": group.default_cooldown,
            "DefaultInstanceWarmup": group.default_instance_warmup,
            "MaxInstanceLifetime": group.max_instance_lifetime,
            "InstanceMaintenancePolicy": group.maintenance_policy,
            "AvailabilityZones": list(dict.fromkeys(place.zone for place in group.places)),
            "VPCZoneIdentifier": ",".join(subnets),
            "LoadBalancerNames": [],
            "TargetGroupARNs": group.target_group_arns,
            "TrafficSources": [{"Identifier": arn, "Type": "elbv2"} for arn in group.target_group_arns],
            "HealthCheckType": group.health_check_type,
            "HealthCheckGracePeriod": group.health_check_grace_period,
            "Instances": [member.describe() for member in group.members],
            "SuspendedProcesses": [
                {"ProcessName": name, "SuspensionReason": "User suspended"} for name in group.suspended
            ],
            "EnabledMetrics": [{"Metric": name, "Granularity": "1Minute"} for name in group.metrics],
            "Status": "Delete in progress" if group.deleting else None,
            "Tags": group.tags,
            "TerminationPolicies": group.termination_policies,
            "NewInstancesProtectedFromScaleIn": group.new_instances_protected,
            "CapacityRebalance": group.capacity_rebalance,
            "ServiceLinkedRoleARN": group.kept.get("ServiceLinkedRoleARN") or _service_role(group),
        }
    )


def _service_role(group: Group) -> str:
    _, partition, _, _, account, *_ = group.arn.split(":")
    role = "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    return f"arn:{partition}:iam::{account}:role/{role}"


def describe_scaling_activities(request: Request) -> Json:
    found = request.region.activities
    name, ids = request.given.get("AutoScalingGroupName"), request.given.get("ActivityIds")
    if name:
        found = [activity for activity in found if name in (activity.group, activity.group_arn)]
    if ids:
        found = [activity for activity in found if activity.id in ids]
    if not request.given.get("IncludeDeletedGroups"):
        found = [activity for activity in found if not activity.group_deleted]
    page, token = request.page(found, 100)
    return {"Activities": [activity.describe() for activity in page], "NextToken": token}


def suspend_processes(request: Request) -> None:
    group = request.group()
    names = _processes(request)
    group.suspended = [name for name in PROCESSES if name in {*group.suspended, *names}]


def resume_processes(request: Request) -> None:
    group, names = request.group(), _processes(request)
    group.suspended = [name for name in group.suspended if name not in names]


def _processes(request: Request) -> list[str]:
    names = list(request.given.get("ScalingProcesses") or PROCESSES)
    for name in names:
        if name not in PROCESSES:
            raise ValidationError(f"{name} is not a valid Process Type")
    return names


def enable_metrics_collection(request: Request) -> None:
    group = request.group()
    wanted = {*group.metrics, *(request.given.get("Metrics") or group_metrics.METRICS)}
    group.metrics = [name for name in group_metrics.METRICS if name in wanted]


def disable_metrics_collection(request: Request) -> None:
    group = request.group()
    unwanted = request.given.get("Metrics") or group_metrics.METRICS
    group.metrics = [name for name in group.metrics if name not in unwanted]


HANDLERS: tuple[Handler, ...] = (
    create_auto_scaling_group,
    update_auto_scaling_group,
    set_desired_capacity,
    delete_auto_scaling_group,
    describe_auto_scaling_groups,
    describe_scaling_activities,
    suspend_processes,
    resume_processes,
    enable_metrics_collection,
    disable_metrics_collection,
)
