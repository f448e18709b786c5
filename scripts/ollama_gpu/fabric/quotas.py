"""Compare the account's quotas with what an environment needs beside everything else in the region."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import code_of
from ollama_gpu.core.checks import Check
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment, Fleet


@dataclass(frozen=True)
class Quota:
    """A limit on running vCPUs for a class of instance types and a purchase option."""

    code: str
    name: str
    families: tuple[str, ...]
    spot: bool


# Codes: AWS Service Quotas, service `ec2`. Their unit is vCPUs, not instances.
QUOTAS = (
    Quota("L-DB2E81BA", "Running On-Demand G and VT instances", ("g",), spot=False),
    Quota("L-3819A6DF", "All G and VT Spot Instance Requests", ("g",), spot=True),
    Quota("L-417A185B", "Running On-Demand P instances", ("p",), spot=False),
    Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", ("p",), spot=True),
)
ADDRESSES = "L-0263D0A3"  # EC2-VPC Elastic IPs: 5 for each region of a new account

ROLLOUT = 1.1
"""An instance refresh and a replacement launch before they terminate: max_healthy_percentage in modules/fleet."""


def vcpus(context: Context) -> list[Check]:
    """Compare each quota of vCPUs with the fleets' need at max_size, in a rollout, and what others use."""
    others = _instances_of_others(context)
    sizes = _sizes(context, {*_types(context.environment), *(kind for kind, _ in others)})
    rows = []
    for quota in QUOTAS:
        if needed := vcpus_needed(context.environment, quota, sizes):
            used = sum(
                count * sizes.get(kind, 0)
                for (kind, spot), count in others.items()
                if spot == quota.spot and kind.startswith(quota.families)
            )
            rollout = vcpus_needed(context.environment, quota, sizes, ROLLOUT)
            rows.append(_row(context, quota.code, quota.name, "vCPUs", needed, rollout, used))
    return rows


def addresses(context: Context, zones: int) -> Check:
    """Compare the quota of Elastic IP addresses with the NAT gateways of an environment in ``zones`` zones."""
    own = context.contract.identifying_tags(context.environment.name)
    found = context.aws.ec2.describe_addresses()["Addresses"]
    used = sum(not _has(each.get("Tags", []), own) for each in found)
    needed = zones if context.environment.variables.network.nat_per_zone else 1
    return _row(context, ADDRESSES, "Elastic IP addresses", "addresses", needed, needed, used)


def vcpus_needed(environment: Environment, quota: Quota, sizes: Mapping[str, int], share: float = 1.0) -> int:
    """The vCPUs that count towards a quota if every fleet has ``share`` of max_size and runs its largest type."""
    total = 0
    for name, fleet in environment.fleets.items():
        instances = math.ceil(round(share * fleet.max_size, 6))
        spot = instances if name != "interactive" else _spot_share(fleet, instances)
        count = spot if quota.spot else instances - spot
        largest = max(
            (sizes.get(kind, 0) for kind in fleet.instance_types if kind.startswith(quota.families)), default=0
        )
        total += count * largest
    return total


def _row(context: Context, code: str, name: str, unit: str, needed: int, rollout: int, used: int) -> Check:
    value = _quota(context, code)
    seen = f"{name}: {value:.0f} {unit}, {needed} needed"
    seen += " at max_size" if unit == "vCPUs" else ""
    seen += f", {used} used outside this environment" if used else ""
    if value >= rollout + used:
        return Check(f"quota {code}", "ok", seen)
    request = (
        "aws service-quotas request-service-quota-increase --service-code ec2 "
        f"--quota-code {code} --desired-value {rollout + used} --region {context.environment.region}"
    )
    if value >= needed + used:
        seen += f"; a rollout or a replacement at max_size needs {rollout}"
        return Check(f"quota {code}", "warning", seen, f"Request an increase: {request}")
    lower = "Lower max_size" if unit == "vCPUs" else "Release unused addresses, set network.nat_per_zone = false"
    return Check(f"quota {code}", "failed", seen, f"{lower}, or request an increase: {request}")


def _quota(context: Context, code: str) -> float:
    quotas = context.aws.service_quotas
    try:
        return float(quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])
    except ClientError as error:
        if code_of(error) != "NoSuchResourceException":
            raise
    # No value is set for this account, so the default applies. For GPUs it is often 0.
    return float(quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])


def _instances_of_others(context: Context) -> Counter[tuple[str, bool]]:
    """Count the instances that run outside this environment by type and whether they are Spot instances."""
    own = context.contract.identifying_tags(context.environment.name)
    states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    found = Counter[tuple[str, bool]]()
    for page in context.aws.ec2.get_paginator("describe_instances").paginate(Filters=states):  # type: ignore[arg-type]
        for instance in (each for reservation in page["Reservations"] for each in reservation["Instances"]):
            if not _has(instance.get("Tags", []), own):
                found[str(instance["InstanceType"]), instance.get("InstanceLifecycle") == "spot"] += 1
    return found


def _sizes(context: Context, types: Iterable[str]) -> dict[str, int]:
    """The vCPUs of each type that EC2 knows."""
    filters = [{"Name": "instance-type", "Values": sorted(types)}]
    pages = context.aws.ec2.get_paginator("describe_instance_types").paginate(Filters=filters)  # type: ignore[arg-type]
    return {
        str(item["InstanceType"]): item["VCpuInfo"]["DefaultVCpus"] for page in pages for item in page["InstanceTypes"]
    }


def _types(environment: Environment) -> set[str]:
    return {kind for fleet in environment.fleets.values() for kind in fleet.instance_types}


def _spot_share(fleet: Fleet, instances: int) -> int:
    return math.floor(max(0, instances - fleet.on_demand_base) * fleet.spot_percentage / 100)


def _has(tags: Iterable[Any], wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()
