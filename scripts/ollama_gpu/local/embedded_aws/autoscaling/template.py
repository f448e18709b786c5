"""Resolve a launch template specification to a version, image, instance types and security groups."""

from __future__ import annotations

import functools
from typing import Any

from moto.core.exceptions import ServiceException
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.utils import convert_tag_spec, filter_iam_instance_profiles
from moto.ssm.models import ssm_backends

from .errors import ValidationError
from .model import Configuration, Json, Template
from .region import Region

_DEFAULT_DISTRIBUTION: Json = {
    "OnDemandAllocationStrategy": "prioritized",
    "OnDemandBaseCapacity": 0,
    "OnDemandPercentageAboveBaseCapacity": 100,
    "SpotAllocationStrategy": "lowest-price",
}
_INVALID = "You must use a valid fully-formed launch template."
_SSM_IMAGE = "resolve:ssm:"


def configuration(
    region: Region, launch_template: Json | None, policy: Json | None, present: Configuration | None = None
) -> Configuration:
    """Return a checked configuration, as AWS describes it.

    Values that a mixed instances policy omits are taken from ``present``. Raises ValidationError for a template that
    does not exist or that cannot be launched.
    """
    if launch_template and policy:
        launch_template = policy = None
    if launch_template:
        found = Configuration(launch_template=_specification(region, launch_template, show_default=False))
    elif policy:
        found = Configuration(mixed_instances_policy=_policy(region, policy, present))
    else:
        raise ValidationError(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
            "MixedInstancesPolicy parameter."
        )
    _check(region, version(region, found.template))
    return found


def _policy(region: Region, policy: Json, present: Configuration | None) -> Json:
    given = policy.get("LaunchTemplate") or {}
    if not given.get("LaunchTemplateSpecification"):
        raise ValidationError("MixedInstancesPolicy must contain a LaunchTemplateSpecification.")
    overrides = []
    kept_overrides = present.overrides if present and "Overrides" not in given else []
    for override in given.get("Overrides") or []:
        if unsupported := override.keys() - {"InstanceType"}:
            raise ValidationError(
                f"The embedded AWS supports only InstanceType in an override, not {', '.join(sorted(unsupported))}."
            )
        overrides.append(dict(override))
    distribution = (
        _DEFAULT_DISTRIBUTION | (present.distribution if present else {}) | (policy.get("InstancesDistribution") or {})
    )
    if distribution["SpotAllocationStrategy"] == "lowest-price":
        distribution.setdefault("SpotInstancePools", 2)
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": _specification(
                region, given["LaunchTemplateSpecification"], show_default=True
            ),
            "Overrides": overrides or kept_overrides,
        },
        "InstancesDistribution": distribution,
    }


def _specification(region: Region, given: Json, *, show_default: bool) -> Json:
    """Complete a specification with id and name. AWS shows no version if a single template was given without one."""
    if bool(given.get("LaunchTemplateId")) == bool(given.get("LaunchTemplateName")):
        raise ValidationError("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    template = _template(region, given)
    specification = {"LaunchTemplateId": template.id, "LaunchTemplateName": template.name}
    if given.get("Version") or show_default:
        specification["Version"] = str(given.get("Version") or "$Default")
    return specification


def _template(region: Region, specification: Json) -> Any:
    try:
        if by_id := specification.get("LaunchTemplateId"):
            return region.ec2.get_launch_template(by_id)
        return region.ec2.get_launch_template_by_name(specification["LaunchTemplateName"])
    except ServiceException as error:
        raise ValidationError(f"{_INVALID} {reason_of(error)}") from error


def version(region: Region, specification: Json) -> Any:
    """Return moto's launch template version for a number, `$Latest` or `$Default`. Raises ValidationError."""
    template = _template(region, specification)
    try:
        return template.get_version(specification.get("Version") or "$Default")
    except Exception as error:
        raise ValidationError(
            f"{_INVALID} Could not find the specified version "
            f"{specification.get('Version')} for the launch template with ID {template.id}."
        ) from error


def current_template(region: Region, configuration: Configuration) -> Template:
    """Return the template version that a configuration launches now."""
    return template_of(version(region, configuration.template))


def template_of(version: Any) -> Template:
    return Template(version.template.id, version.template.name, str(version.number))


def candidate_types(region: Region, configuration: Configuration) -> list[str]:
    """Return the types of the overrides in order, or the template's own type without overrides."""
    types = [override["InstanceType"] for override in configuration.overrides]
    return types or [version(region, configuration.template).instance_type]


def is_offered(region: Region) -> Any:
    """Return a function that checks whether a zone offers a type, by moto's catalogue."""
    catalogue = _offerings(region.name)
    return lambda name, zone: (name, zone) in catalogue


@functools.cache
def _offerings(region_name: str) -> frozenset[tuple[str, str]]:
    offerings = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region_name, [])
    return frozenset((offering["InstanceType"], offering["Location"]) for offering in offerings)


def image_of(region: Region, version: Any) -> str:
    """Return the image id. Resolves `resolve:ssm:NAME` through SSM."""
    image: str = version.data.get("ImageId") or ""
    if image.startswith(_SSM_IMAGE):
        name, _, number = image.removeprefix(_SSM_IMAGE).partition(":")
        numbered = f"{name}:{number}" if number else name
        parameter = ssm_backends[region.account][region.name].get_parameter(numbered)
        if parameter is None:
            raise ValidationError(f"The parameter {name} that names the image does not exist.")
        return str(parameter.value)
    return image


def security_groups_of(version: Any) -> list[str]:
    data = version.data
    groups = list(data.get("SecurityGroupIds") or [])
    for interface in data.get("NetworkInterfaces") or []:
        groups += [group for group in interface.get("Groups") or [] if group not in groups]
    return groups


def tags_of(version: Any, resource: str) -> dict[str, str]:
    return dict(convert_tag_spec(version.data.get("TagSpecifications") or []).get(resource, {}))


def _check(region: Region, version: Any) -> None:
    image = image_of(region, version)
    if not image:
        raise ValidationError(f"{_INVALID} The request must contain the parameter ImageId")
    if image not in region.ec2.amis:
        raise ValidationError(f"{_INVALID} The image id '[{image}]' does not exist")
    for group in security_groups_of(version):
        if region.ec2.get_security_group_from_id(group) is None:
            raise ValidationError(f"{_INVALID} The security group '{group}' does not exist")
    profile = version.data.get("IamInstanceProfile") or {}
    if profile:
        try:
            found = filter_iam_instance_profiles(
                region.account, region.partition, profile.get("Arn"), profile.get("Name")
            )
        except Exception:
            found = None
        if found is None:
            given = profile.get("Arn") or profile.get("Name")
            raise ValidationError(f"{_INVALID} Value ({given}) for parameter iamInstanceProfile is invalid.")


def reason_of(error: Exception) -> str:
    """Return the message of a moto exception without its wrapping."""
    return str(getattr(error, "message", None) or error)
