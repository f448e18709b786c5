"""Launch an instance from the group's template, take it through its hooks into service, or abandon it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from moto.core.exceptions import ServiceException

from . import activities, events, lifecycle, placement, targets, template
from .errors import ValidationError
from .model import IN_SERVICE, PENDING_WAIT, Group, Json, Member, Place
from .region import Region

log = logging.getLogger(__name__)

GROUP_TAG = "aws:autoscaling:groupName"

_FIRST_BACKOFF = timedelta(seconds=10)
_LONGEST_BACKOFF = timedelta(minutes=5)


def launch(region: Region, group: Group, cause: str, now: datetime) -> Member | None:
    """Launch one instance and return it, Pending. Returns None if EC2 rejects it, which delays the next attempt."""
    kept = [member for member in group.capacity() if member.mark is None]
    configuration = group.current_configuration
    place = group.places[0]
    try:
        place, instance_type, version = _choose(region, group, kept)
        spot = bool(configuration.distribution) and placement.wants_spot(kept, configuration.distribution)
        instance = _run(region, group, place, instance_type, version, spot=spot)
    except Exception as error:
        if not isinstance(error, ServiceException):
            log.exception("%s: launch failed", group.name)
        _record_failure(region, group, cause, place, template.reason_of(error), now)
        return None
    member = Member(
        ec2=instance,
        place=place,
        template=template.template_of(version),
        spot=spot,
        launched=now,
        protected=group.new_instances_protected,
        activity=activities.open_activity(
            region, group, f"Launching a new EC2 instance: {instance.id}", cause, now, place
        ),
    )
    group.members.append(member)
    if lifecycle.begin(region, group, member, lifecycle.LAUNCHING, now):
        member.lifecycle_state = PENDING_WAIT
    return member


def advance(region: Region, group: Group, member: Member, now: datetime) -> None:
    """Take a pending instance into service once no hook holds it, or abandon it."""
    abandoned = lifecycle.resolve(member, now)
    if not member.running:
        abandon(region, group, member, "The instance was terminated or stopped while it was launched.", now)
    elif abandoned is not None:
        reason = (
            "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token "
            f"{abandoned.token} was abandoned: {abandoned.reason}"
        )
        abandon(region, group, member, reason, now)
    elif not lifecycle.waits(member):
        enter_service(region, group, member, now)


def enter_service(region: Region, group: Group, member: Member, now: datetime) -> None:
    """Put an instance in service and end the group's back-off, because a launch succeeded."""
    member.actions = []
    member.lifecycle_state = IN_SERVICE
    member.in_service_since = now
    group.failed_launches = 0
    group.no_launch_before = None
    if member.activity is not None:
        member.activity.close(activities.SUCCESSFUL, now)
        events.instance_event(region, group, member.id, member.activity, "Launch", now)
        member.activity = None


def abandon(region: Region, group: Group, member: Member, reason: str, now: datetime) -> None:
    """Terminate an instance that did not reach service. The group launches another after the back-off."""
    if member.activity is not None:
        member.activity.close(activities.CANCELLED, now, reason)
        events.instance_event(region, group, member.id, member.activity, "Launch", now)
    back_off(group, now)
    ending = activities.open_activity(
        region,
        group,
        f"Terminating EC2 instance: {member.id}",
        activities.taken_out("a launch that failed.", now),
        now,
        member.place,
    )
    end_instance(region, group, member)
    ending.close(activities.SUCCESSFUL, now)
    events.instance_event(region, group, member.id, ending, "Terminate", now)


def end_instance(region: Region, group: Group, member: Member) -> None:
    """Terminate the EC2 instance, even with termination protection, and remove it from the group."""
    if member.ec2.state != "terminated":
        member.ec2.terminate()
    targets.deregister(region, group, member, drain=False)
    if member in group.members:
        group.members.remove(member)


def back_off(group: Group, now: datetime) -> None:
    """Delay the next launch: 10 s after the first failure, doubled for each further one, at most 5 minutes."""
    group.no_launch_before = now + min(_FIRST_BACKOFF * 2 ** min(group.failed_launches, 10), _LONGEST_BACKOFF)
    group.failed_launches += 1


def _record_failure(region: Region, group: Group, cause: str, place: Place, reason: str, now: datetime) -> None:
    text = f"Launching a new EC2 instance. Status Reason: {reason}. Launching EC2 instance failed."
    activity = activities.open_activity(region, group, text, cause, now, place)
    activity.close(activities.FAILED, now, reason)
    events.instance_event(region, group, "", activity, "Launch", now)
    back_off(group, now)


def _choose(region: Region, group: Group, kept: list[Member]) -> tuple[Place, str, Any]:
    configuration = group.current_configuration
    names = template.candidate_types(region, configuration)
    offered = template.is_offered(region)
    for place in placement.balanced(group.places, kept):
        chosen = placement.choose_type(names, place.zone, offered)
        if chosen is not None:
            return place, chosen, template.version(region, configuration.template)
    zones = ", ".join(sorted({place.zone for place in group.places}))
    raise ValidationError(f"Your requested instance types ({', '.join(names)}) are not supported in {zones}")


def _run(region: Region, group: Group, place: Place, instance_type: str, version: Any, *, spot: bool) -> Any:
    data = version.data
    interfaces = data.get("NetworkInterfaces") or [{}]
    public: bool | None = interfaces[0].get("AssociatePublicIpAddress")
    interface: Json = {
        "DeviceIndex": 0,
        # otherwise moto keeps the interface of a terminated instance, and so its subnet and security group
        "DeleteOnTermination": True,
    }
    if public is not None:
        interface["AssociatePublicIpAddress"] = public
    options: Json = {
        "instance_type": instance_type,
        "is_instance_type_default": False,
        "region_name": region.name,
        "placement": place.zone,
        "subnet_id": place.subnet,
        "security_group_ids": template.security_groups_of(version),
        "nics": [interface],
        "associate_public_ip": public,
        "tags": {
            "instance": template.tags_of(version, "instance") | dict(group.propagated_tags()) | {GROUP_TAG: group.name},
        },
        "launch_template": {"LaunchTemplateId": version.template.id, "Version": str(version.number)},
    }
    if spot:
        options["instance_market_options"] = "spot"
    image = template.image_of(region, version)
    # completions.ec2 takes disks, instance profile, metadata options and user data from the template
    return region.ec2.run_instances(image, 1, None, [], **options).instances[0]
