"""EC2: launch templates, instances that follow their template, images, and flow logs.

moto 5.2.5 has these defects:

* It returns the provider's default_tags inside the tag specifications of a launch template.
* It cannot launch from the second version of a template with user data.
* An instance ignores its template's security groups of network interfaces, metadata options, volume tags, instance
  profile and monitoring, and it gets a second root volume.
* CreateImage rejects tags for snapshots, and RegisterImage stores only the name.
* A flow log whose log group is given by ARN has the status FAILED.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidParameterValueError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.responses import EC2Response
from moto.ec2.utils import convert_tag_spec, parse_user_data

from . import servicequotas
from .patching import around

DEFAULT_ROOT_GIB = 8


def apply() -> None:
    """Patch moto's EC2."""
    _complete_launch_templates()
    _complete_instances()
    _limit_addresses()
    _complete_images_and_flow_logs()


def _complete_launch_templates() -> None:
    @around(LaunchTemplate, "create_version")
    def create_version(original: Callable[..., Any], self: Any, data: dict[str, Any], description: str) -> Any:
        data = copy.copy(data)
        data["TagSpecifications"] = [
            each for each in data.get("TagSpecifications") or [] if each.get("ResourceType") != "launch-template"
        ]
        if isinstance(data.get("UserData"), str):
            data["UserData"] = parse_user_data(data["UserData"])
        return original(self, data, description)

    @around(LaunchTemplate, "get_version")
    def get_version(original: Callable[..., Any], self: Any, number: Any) -> Any:
        if str(number).lower() == "$default":
            return self.default_version()
        if str(number).isdigit():
            for version in self.versions:
                if version.number == int(number):
                    return version
            return original(self, len(self.versions) + 1)  # raises AWS's error for an unknown version
        return original(self, number)

    def default_version(self: Any) -> Any:
        return next(each for each in self.versions if each.number == self.default_version_number)

    LaunchTemplate.default_version = default_version
    # moto's constructor stores a copy, which would hide later changes of the tags
    LaunchTemplate.tags = property(lambda self: self.get_tags(), lambda _self, _value: None)


def _complete_instances() -> None:
    @around(EC2Backend, "run_instances")
    def run_instances(
        original: Callable[..., Any],
        self: Any,
        image_id: str,
        count: int,
        user_data: Any,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Any:
        template: dict[str, Any] = {}
        if kwargs.get("launch_template"):
            template = self._get_template_from_args(kwargs["launch_template"]).data
        image_id = image_id or template.get("ImageId") or ""

        _apply_interfaces(kwargs, template)
        if not kwargs.get("metadata_options"):
            kwargs["metadata_options"] = template.get("MetadataOptions") or {}
        if (template.get("Monitoring") or {}).get("Enabled"):
            kwargs["monitoring_state"] = "enabled"
        if template.get("EbsOptimized"):
            kwargs["ebs_optimized"] = True
        if not kwargs.get("instance_initiated_shutdown_behavior"):
            kwargs["instance_initiated_shutdown_behavior"] = template.get("InstanceInitiatedShutdownBehavior")
        if not kwargs.get("instance_market_options"):
            kwargs["instance_market_options"] = (template.get("InstanceMarketOptions") or {}).get("MarketType") or {}
        tags = {kind: dict(values) for kind, values in (kwargs.get("tags") or {}).items()}
        volume_tags = convert_tag_spec(template.get("TagSpecifications") or []).get("volume", {})
        kwargs["tags"] = {**tags, "volume": {**volume_tags, **tags.get("volume", {})}}
        if (kwargs["metadata_options"] or {}).get("InstanceMetadataTags") == "enabled":
            instance_tags = convert_tag_spec(template.get("TagSpecifications") or []).get("instance", {})
            _refuse_keys_for_metadata({**instance_tags, **tags.get("instance", {})})
        mappings = _block_devices(self, image_id, template, kwargs.get("block_device_mappings") or [])
        kwargs["block_device_mappings"] = mappings

        reservation = original(self, image_id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            _finish_volumes(self, instance, mappings)
            _associate_profile(self, instance, kwargs, template)
        return reservation


def _refuse_keys_for_metadata(tags: Iterable[str]) -> None:
    """Refuse tag keys that instance metadata cannot show (EC2 User Guide, "View tags using instance metadata").

    The message is AWS's, from seek-oss/aec #411 and aws/karpenter-provider-aws #1527.
    """
    for key in tags:
        if not re.fullmatch(r"[0-9a-zA-Z\-_+=,.@:]{1,255}", key) or key in (".", "..", "_index"):
            raise InvalidParameterValueError(
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}),"
                " and must not be a reserved name ('.', '..', '_index')"
            )


def _limit_addresses() -> None:
    @around(EC2Backend, "allocate_address")
    def allocate_address(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse addresses above the quota (EC2 API error codes, AddressLimitExceeded)."""
        _, quota = servicequotas.EC2_QUOTAS[servicequotas.ADDRESSES]
        if len(self.addresses) >= quota:
            raise EC2ClientError("AddressLimitExceeded", "The maximum number of addresses has been reached.")
        return original(self, *args, **kwargs)


def _apply_interfaces(kwargs: dict[str, Any], template: dict[str, Any]) -> None:
    interfaces = template.get("NetworkInterfaces") or []
    if not interfaces or kwargs.get("nics"):
        return
    first = interfaces[0]
    if not kwargs.get("security_group_ids") and first.get("Groups"):
        kwargs["security_group_ids"] = list(first["Groups"])
    if kwargs.get("associate_public_ip") is None and first.get("AssociatePublicIpAddress") is not None:
        kwargs["associate_public_ip"] = str(first["AssociatePublicIpAddress"]).lower() == "true"


def _block_devices(
    backend: Any, image_id: str, template: dict[str, Any], request: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Merge the image's root device, the template's mappings and the request's mappings by device."""
    images = backend.describe_images(ami_ids=[image_id]) if image_id in backend.amis else []
    root = images[0].root_device_name if images else "/dev/sda1"
    devices: dict[str, dict[str, Any]] = {
        root: {"VolumeSize": DEFAULT_ROOT_GIB, "VolumeType": "gp3", "DeleteOnTermination": True}
    }
    for mapping in [*(template.get("BlockDeviceMappings") or []), *request]:
        name = mapping["DeviceName"]
        if mapping.get("NoDevice") is not None:
            devices.pop(name, None)
        elif mapping.get("Ebs"):  # a mapping of an instance store creates no volume
            given = {key: value for key, value in mapping["Ebs"].items() if value is not None}
            devices[name] = {"DeleteOnTermination": True, **devices.get(name, {}), **given}
    return [{"DeviceName": name, "Ebs": settings} for name, settings in devices.items()]


def _finish_volumes(backend: Any, instance: Any, mappings: list[dict[str, Any]]) -> None:
    """Set IOPS and throughput of the volumes, which moto drops from the mapping."""
    settings = {mapping["DeviceName"]: mapping["Ebs"] for mapping in mappings}
    for name, device in instance.get_block_device_mapping:
        volume = backend.volumes[device.volume_id]
        wanted = settings.get(name, {})
        volume.iops = int(wanted["Iops"]) if wanted.get("Iops") else volume.iops
        volume.throughput = int(wanted["Throughput"]) if wanted.get("Throughput") else volume.throughput


def _associate_profile(backend: Any, instance: Any, kwargs: dict[str, Any], template: dict[str, Any]) -> None:
    explicit = kwargs.get("iam_instance_profile_name") or kwargs.get("iam_instance_profile_arn")
    profile = template.get("IamInstanceProfile") or {}
    if explicit or not profile:
        return  # moto's RunInstances associates a profile of the request itself
    backend.associate_iam_instance_profile(
        instance_id=instance.id,
        iam_instance_profile_name=profile.get("Name"),
        iam_instance_profile_arn=profile.get("Arn"),
    )


def _complete_images_and_flow_logs() -> None:
    @around(EC2Backend, "create_image")
    def create_image(
        original: Callable[..., Any],
        self: Any,
        instance_id: str,
        name: str,
        description: str,
        tag_specifications: list[dict[str, Any]],
    ) -> Any:
        if any(image.name == name and image.owner_id == self.account_id for image in self.amis.values()):
            raise InvalidParameterValueError(f"AMI name {name} is already in use")
        others = [each for each in tag_specifications if each["ResourceType"] != "snapshot"]
        image = original(self, instance_id, name, description, others)
        for specification in tag_specifications:
            if specification["ResourceType"] == "snapshot":
                image.ebs_snapshot.add_tags({tag["Key"]: tag["Value"] for tag in specification["Tags"]})
        return image

    @around(EC2Response, "register_image")
    def register_image(original: Callable[..., Any], self: Any) -> ActionResult:
        answer: ActionResult = original(self)
        image = self.ec2_backend.amis[answer.result["ImageId"]]
        image.architecture = self._get_param("Architecture", "i386")  # the default of AWS
        image.root_device_name = self._get_param("RootDeviceName", image.root_device_name)
        image.virtualization_type = self._get_param("VirtualizationType", "paravirtual")
        mapped = self._get_param("BlockDeviceMappings", [])
        root = next((each for each in mapped if each.get("DeviceName") == image.root_device_name), None)
        if root and "VolumeSize" in root.get("Ebs", {}):
            image.ollama_gpu_root_gib = int(root["Ebs"]["VolumeSize"])
        return answer

    mappings = Ami.block_device_mappings.fget

    def block_device_mappings(self: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = mappings(self)
        if hasattr(self, "ollama_gpu_root_gib"):
            found[0]["Ebs"]["VolumeSize"] = self.ollama_gpu_root_gib
        return found

    Ami.block_device_mappings = property(block_device_mappings)

    @around(EC2Backend, "create_flow_logs")
    def create_flow_logs(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        created, unsuccessful = original(self, *args, **kwargs)
        for flow_log in created:
            if flow_log.deliver_logs_status == "FAILED" and _log_group_exists(self, flow_log.log_destination):
                flow_log.deliver_logs_status = "SUCCESS"
                flow_log.deliver_logs_error_message = None
        return created, unsuccessful


def _log_group_exists(backend: Any, arn: str | None) -> bool:
    from moto.logs.models import logs_backends

    if not arn or ":log-group:" not in arn:
        return False
    name = arn.split(":log-group:")[1].removesuffix(":*")
    return name in logs_backends[backend.account_id][backend.region_name].groups
