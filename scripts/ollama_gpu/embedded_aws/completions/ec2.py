"""EC2: launch templates whose later versions launch, and instances that are what their template says.

moto 5.2.5: default_tags of the provider come back inside a template's tag specifications; a template's
second version with user data cannot be launched; a version cannot be deleted; an instance ignores its
template's network interfaces' groups, metadata options, volume tags, instance profile and monitoring, and
gets a second, ghost root volume; an image cannot tag its snapshots; a registered image forgets all but its
name; a flow log whose log group is given by ARN says FAILED.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidParameterValueError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.responses import EC2Response
from moto.ec2.utils import convert_tag_spec, parse_user_data

from .patching import add_operations, around

DEFAULT_ROOT_GIB = 8


def apply() -> None:
    """Patch moto's EC2."""
    _complete_launch_templates()
    _complete_instances()
    _complete_the_rest()
    add_operations(EC2Response, delete_launch_template_versions)


def delete_launch_template_versions(self: Any) -> ActionResult:
    """DeleteLaunchTemplateVersions: the default version and unknown ones are reported, the others go."""
    identifier, name = self._get_param("LaunchTemplateId"), self._get_param("LaunchTemplateName")
    backend = self.ec2_backend
    template = backend.get_launch_template(identifier) if identifier else backend.get_launch_template_by_name(name)
    deleted, refused = [], []
    for wanted in self._get_param("Versions", []):
        number = int(wanted)
        version = next((each for each in template.versions if each.number == number), None)
        about = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "VersionNumber": number,
        }
        if version is None:
            problem = {
                "Code": "launchTemplateVersionDoesNotExist",
                "Message": f"Version {number} does not exist.",
            }
            refused.append({**about, "ResponseError": problem})
        elif template.is_default(version):
            problem = {"Code": "unexpectedError", "Message": "The default version cannot be deleted."}
            refused.append({**about, "ResponseError": problem})
        else:
            template.versions.remove(version)
            deleted.append(about)
    return ActionResult(
        {
            "SuccessfullyDeletedLaunchTemplateVersions": deleted,
            "UnsuccessfullyDeletedLaunchTemplateVersions": refused,
        }
    )


def _complete_launch_templates() -> None:
    @around(LaunchTemplate, "create_version")
    def create_version(original: Callable[..., Any], self: Any, data: dict[str, Any], description: str) -> Any:
        data = copy.copy(data)
        data["TagSpecifications"] = [
            each for each in data.get("TagSpecifications") or [] if each.get("ResourceType") != "launch-template"
        ]
        if isinstance(data.get("UserData"), str):
            data["UserData"] = parse_user_data(data["UserData"])
        version = original(self, data, description)
        # moto numbers by the length of the list, which lies once a version was deleted
        self.highest_number = getattr(self, "highest_number", 0) + 1
        version.number = self.highest_number
        return version

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
    # the constructor's snapshot would hide tags that were changed later
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
        mappings = _block_devices(self, image_id, template, kwargs.get("block_device_mappings") or [])
        kwargs["block_device_mappings"] = mappings

        reservation = original(self, image_id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            _finish_volumes(self, instance, mappings)
            _associate_profile(self, instance, kwargs, template)
        return reservation


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
    backend: Any, image_id: str, template: dict[str, Any], asked: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The image's root device, overlaid by the template's mappings, then by the request's, one entry a
    device."""
    images = backend.describe_images(ami_ids=[image_id]) if image_id in backend.amis else []
    root = images[0].root_device_name if images else "/dev/sda1"
    devices: dict[str, dict[str, Any]] = {
        root: {"VolumeSize": DEFAULT_ROOT_GIB, "VolumeType": "gp3", "DeleteOnTermination": True}
    }
    for mapping in [*(template.get("BlockDeviceMappings") or []), *asked]:
        name = mapping["DeviceName"]
        if mapping.get("NoDevice") is not None:
            devices.pop(name, None)
        elif mapping.get("Ebs"):  # an instance store's mapping makes no volume
            given = {key: value for key, value in mapping["Ebs"].items() if value is not None}
            devices[name] = {"DeleteOnTermination": True, **devices.get(name, {}), **given}
    return [{"DeviceName": name, "Ebs": settings} for name, settings in devices.items()]


def _finish_volumes(backend: Any, instance: Any, mappings: list[dict[str, Any]]) -> None:
    """Set what moto's mapping drops; the volumes' figures are asked for by name in the template."""
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
        return  # moto's RunInstances associates the explicit one itself
    backend.associate_iam_instance_profile(
        instance_id=instance.id,
        iam_instance_profile_name=profile.get("Name"),
        iam_instance_profile_arn=profile.get("Arn"),
    )


def _complete_the_rest() -> None:
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
        image.architecture = self._get_param("Architecture", "i386")  # AWS's default
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
