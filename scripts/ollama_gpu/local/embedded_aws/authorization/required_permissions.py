"""The permissions that an operation requires: IAM actions on the ARNs of its resources.

Follows: Service Authorization Reference (https://docs.aws.amazon.com/service-authorization/), for the services that an
instance uses. Every other operation requires the action with its name on "*".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moto.autoscaling.models import autoscaling_backends
from moto.kms.models import kms_backends
from moto.secretsmanager.models import secretsmanager_backends

from . import s3
from .operation import Operation
from .policies import Permission


@dataclass(frozen=True)
class Place:
    """Partition, region and account of a request's resources: the middle of their ARNs."""

    partition: str
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def required_permissions(operation: Operation, place: Place) -> list[Permission]:
    """Return all permissions that the operation requires. Empty if AWS never denies it."""
    if operation.service == "s3":
        return s3.required_permissions(operation, place.partition, place.account)
    if (operation.service, operation.name) == ("sts", "GetCallerIdentity"):
        return []  # AWS allows it even if a policy denies it
    resources = _RESOURCES.get(operation.service, _any)(operation, place)
    action = f"{operation.service}:{operation.name}"
    permissions = [Permission(action, resource, _context(operation)) for resource in resources]
    if operation.name == "BatchGetSecretValue":
        permissions += [
            Permission("secretsmanager:GetSecretValue", _secret(identifier, place))
            for identifier in operation.parameters.get("SecretIdList", [])
        ]
    return permissions


def _context(operation: Operation) -> dict[str, str]:
    if operation.service == "cloudwatch" and "Namespace" in operation.parameters:
        return {"cloudwatch:namespace": operation.parameters["Namespace"]}
    return {}


def _any(_operation: Operation, _place: Place) -> list[str]:
    return ["*"]


def _secrets(operation: Operation, place: Place) -> list[str]:
    identifier = operation.parameters.get("SecretId") or operation.parameters.get("Name")
    return [_secret(identifier, place)] if identifier else ["*"]


def _secret(identifier: str, place: Place) -> str:
    """Return the full ARN for a name or partial ARN. Policies name the ARN with its random suffix."""
    secret = secretsmanager_backends[place.account][place.region].secrets.get(identifier)
    if secret is not None:
        return str(secret.arn)
    return identifier if identifier.startswith("arn:") else place.arn("secretsmanager", f"secret:{identifier}")


def _parameters(operation: Operation, place: Place) -> list[str]:
    request = operation.parameters
    if operation.name == "UpdateInstanceInformation":
        return [place.arn("ec2", f"instance/{request.get('InstanceId')}")]
    if "Parameter" not in operation.name or operation.name == "DescribeParameters":
        return ["*"]
    names = request.get("Names") or [request.get("Name") or request.get("Path") or request.get("ResourceId")]
    return [_parameter(name, place) for name in names if name] or ["*"]


def _parameter(name: str, place: Place) -> str:
    """Return the ARN of a parameter. A name may end in ":" and a version or label."""
    if name.startswith("arn:"):
        return name
    return place.arn("ssm", f"parameter/{name.partition(':')[0].strip('/')}")


def _log_groups(operation: Operation, place: Place) -> list[str]:
    """Return the ARN as CloudWatch Logs does: the actions of a group are on ``log-group:GROUP:log-stream:``."""
    request = operation.parameters
    group = request.get("logGroupName") or request.get("logGroupIdentifier")
    if not group:
        return ["*"]
    arn = group.removesuffix(":*") if group.startswith("arn:") else place.arn("logs", f"log-group:{group}")
    return [f"{arn}:log-stream:{request.get('logStreamName') or ''}"]


def _groups(operation: Operation, place: Place) -> list[str]:
    name = operation.parameters.get("AutoScalingGroupName")
    if not name or operation.name.startswith("Describe"):  # these support no resource-level permissions
        return ["*"]
    group = autoscaling_backends[place.account][place.region].autoscaling_groups.get(name)
    if group is not None:
        return [str(group.arn)]
    return [place.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")]


def _keys(operation: Operation, place: Place) -> list[str]:
    identifier = operation.parameters.get("KeyId")
    if not identifier:
        return ["*"]
    kms = kms_backends[place.account][place.region]
    alias = kms.get_alias_name(identifier)
    if alias.startswith("alias/") and not kms.alias_exists(alias):
        return ["*"]
    return [place.arn("kms", f"key/{kms.any_id_to_key_id(identifier)}")]


def _file_systems(operation: Operation, place: Place) -> list[str]:
    identifier = operation.parameters.get("FileSystemId")
    return [place.arn("elasticfilesystem", f"file-system/{identifier}")] if identifier else ["*"]


def _roles(operation: Operation, _place: Place) -> list[str]:
    return [operation.parameters.get("RoleArn", "*")]


_RESOURCES: dict[str, Callable[[Operation, Place], list[str]]] = {
    "autoscaling": _groups,
    "elasticfilesystem": _file_systems,
    "kms": _keys,
    "logs": _log_groups,
    "secretsmanager": _secrets,
    "ssm": _parameters,
    "sts": _roles,
}
