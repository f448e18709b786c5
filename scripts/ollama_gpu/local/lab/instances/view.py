"""The instances of an environment, read through the public API of the embedded AWS."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ollama_gpu.core.aws import Aws
from ollama_gpu.core.contract import Contract
from ollama_gpu.environment.images import CONTAINER_TAG

_TERMINATED = "Terminated"
_TARGET_STATES = {
    **dict.fromkeys(("Pending", "Pending:Wait", "Pending:Proceed", "InService"), "InService"),
    **dict.fromkeys(("Terminating", "Terminating:Wait", "Terminating:Proceed", _TERMINATED), _TERMINATED),
    **dict.fromkeys(("EnteringStandby", "Standby"), "Standby"),
    **dict.fromkeys(("Detaching", "Detached"), "Detached"),
}


@dataclass(frozen=True)
class Instance:
    """A running EC2 instance. ``role`` and ``profile`` are ARNs, empty without an instance profile.

    ``container_image`` is None when the AMI names none (a stock image). ``lifecycle`` is ``spot`` or ``on-demand``.
    ``target_state`` is the target lifecycle state (``InService``, ``Terminated``, ...), empty outside a group.
    ``launched`` is a time in UTC in ISO 8601.
    """

    identifier: str
    image_id: str
    container_image: str | None
    instance_type: str
    lifecycle: str
    account: str
    region: str
    zone: str
    host_name: str
    profile: str
    role: str
    tags: dict[str, str]
    target_state: str
    launched: str
    user_data: bytes


class View:
    """Reads the instances of one environment. Caches the immutable properties of instances and images."""

    def __init__(self, aws: Aws, environment: str, contract: Contract) -> None:
        self._aws = aws
        self._filters: list[Any] = [
            {"Name": f"tag:{contract.tags['project']}", "Values": [contract.project]},
            {"Name": f"tag:{contract.tags['environment']}", "Values": [environment]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
        self._user_data: dict[str, bytes] = {}
        self._images: dict[str, str | None] = {}
        self._roles: dict[str, str] = {}

    def read(self) -> list[Instance]:
        """Return the running instances in the order of their IDs. Raises botocore's errors."""
        found = sorted(self._running(), key=lambda each: str(each["InstanceId"]))
        states = self._target_states() if found else {}
        present = {each["InstanceId"] for each in found}
        self._user_data = {key: value for key, value in self._user_data.items() if key in present}
        return [self._instance(each, states.get(each["InstanceId"], "")) for each in found]

    def _running(self) -> Iterator[Any]:
        for page in self._aws.ec2.get_paginator("describe_instances").paginate(Filters=self._filters):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]

    def _target_states(self) -> dict[str, str]:
        pages = self._aws.autoscaling.get_paginator("describe_auto_scaling_instances").paginate()
        described = (each for page in pages for each in page["AutoScalingInstances"])
        return {each["InstanceId"]: target_state(each["LifecycleState"]) for each in described}

    def _instance(self, found: Any, target: str) -> Instance:
        profile = found.get("IamInstanceProfile", {}).get("Arn", "")
        zone = found["Placement"]["AvailabilityZone"]
        return Instance(
            identifier=found["InstanceId"],
            image_id=found["ImageId"],
            container_image=self._image(found["ImageId"]),
            instance_type=found["InstanceType"],
            lifecycle=found.get("InstanceLifecycle", "on-demand"),
            account=self._account(),
            region=self._aws.region,
            zone=zone,
            host_name=found.get("PrivateDnsName") or found["InstanceId"],
            profile=profile,
            role=self._role(profile),
            tags={tag["Key"]: tag["Value"] for tag in found.get("Tags", [])},
            target_state=target,
            launched=found["LaunchTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            user_data=self._user_data_of(found["InstanceId"]),
        )

    def _account(self) -> str:
        return self._aws.identity.account

    def _user_data_of(self, identifier: str) -> bytes:
        if identifier not in self._user_data:
            answer = self._aws.ec2.describe_instance_attribute(InstanceId=identifier, Attribute="userData")
            self._user_data[identifier] = base64.b64decode(answer.get("UserData", {}).get("Value", ""))
        return self._user_data[identifier]

    def _image(self, identifier: str) -> str | None:
        if identifier not in self._images:
            images = self._aws.ec2.describe_images(ImageIds=[identifier])["Images"]
            labels = {tag["Key"]: tag["Value"] for image in images for tag in image.get("Tags", [])}
            self._images[identifier] = labels.get(CONTAINER_TAG)
        return self._images[identifier]

    def _role(self, profile: str) -> str:
        if not profile:
            return ""
        if profile not in self._roles:
            name = profile.rsplit("/", 1)[1]
            roles = self._aws.client("iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
            self._roles[profile] = roles[0]["Arn"] if roles else ""
        return self._roles[profile]


def target_state(lifecycle_state: str) -> str:
    """Return the metadata service's name of the target state of an instance in a group."""
    if lifecycle_state.startswith("Warmed:"):
        return ":".join(lifecycle_state.split(":")[:2])
    return _TARGET_STATES.get(lifecycle_state, "InService")
