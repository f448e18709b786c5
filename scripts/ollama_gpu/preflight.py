"""Everything that can be refused before money is spent. Each check is a row: what, seen, remedy.

A check looks at AWS and returns a row; it never changes anything. What only Terraform can judge (types and
rules of variables) is left to Terraform.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ollama_gpu import (
    embedding_model,
    images,
    model_memory,
    models,
    paths,
    remote_state,
    role_variables,
    s3,
    secret_values,
)
from ollama_gpu.aws import Aws, code_of, explain, parameter
from ollama_gpu.checks import Check
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment, Fleet
from ollama_gpu.errors import UserError


@dataclass(frozen=True)
class Quota:
    """A limit on running vCPUs of a class of instance types, by purchase."""

    code: str
    name: str
    families: tuple[str, ...]
    spot: bool


# Codes: AWS Service Quotas, service `ec2`; the figures there are vCPUs, not instances.
QUOTAS = (
    Quota("L-DB2E81BA", "Running On-Demand G and VT instances", ("g",), spot=False),
    Quota("L-3819A6DF", "All G and VT Spot Instance Requests", ("g",), spot=True),
    Quota("L-417A185B", "Running On-Demand P instances", ("p",), spot=False),
    Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", ("p",), spot=True),
)


def run(environment: Environment, contract: Contract, aws: Aws) -> list[Check]:
    """All rows for an environment. Raises UserError only when AWS cannot be talked to at all."""
    identity = _identity(environment, aws)
    if identity.state == "failed":
        return [identity]
    checks: list[Callable[[], Iterable[Check]]] = [
        lambda: state(environment, contract, aws),
        lambda: zones(environment, aws),
        lambda: quotas(environment, aws),
        lambda: [certificate(environment, aws)],
        lambda: [image(environment, contract, aws)],
        lambda: [] if environment.embedded else [model_set(environment, contract, aws)],  # the lab brings its own
        lambda: sign_on(environment, contract, aws),
    ]
    rows = [identity]
    for check in checks:
        try:
            rows += check()
        except (BotoCoreError, ClientError) as error:
            explained = explain(error)
            rows.append(Check("AWS", "failed", explained.message, explained.remedy))
    return rows


def _identity(environment: Environment, aws: Aws) -> Check:
    try:
        identity = aws.identity
    except (BotoCoreError, ClientError) as error:
        explained = explain(error)
        return Check("identity", "failed", explained.message, explained.remedy)
    return Check("identity", "ok", f"{identity.arn} in {environment.region}")


def state(environment: Environment, contract: Contract, aws: Aws) -> list[Check]:
    """The state bucket, whether somebody holds this environment's lock, and whether its state can be read."""
    bucket, _ = remote_state.place(environment, contract, aws)
    if not s3.has_bucket(aws, bucket):
        remedy = f"Make it once per account and region: make bootstrap ENV={environment.name}"
        return [Check("state bucket", "failed", f"{bucket} does not exist", remedy)]
    return [
        Check("state bucket", "ok", bucket),
        _lock(environment, bucket, aws),
        remote_state.check(environment, contract, aws),
    ]


def _lock(environment: Environment, bucket: str, aws: Aws) -> Check:
    # Terraform >= 1.10 with use_lockfile keeps the lock as an object beside the state.
    body = s3.read(aws, bucket, f"{environment.state_key}.tflock")
    if body is None:
        return Check("state lock", "ok", "free")
    holder = _lock_information(body)
    if "ID" not in holder:
        # `terraform force-unlock` cannot read it either.
        return Check(
            "state lock",
            "failed",
            "held, but the lock file is not one of Terraform's",
            "If nobody is deploying: "
            f"aws s3 rm s3://{bucket}/{environment.state_key}.tflock --region {environment.region}",
        )
    return Check(
        "state lock",
        "failed",
        f"held by {holder.get('Who', 'somebody')} for {holder.get('Operation', 'an operation')} "
        f"since {holder.get('Created', 'an unknown time')}",
        "Wait until they are done. If that run is dead for certain: "
        f"make unlock ENV={environment.name} LOCK={holder['ID']}",
    )


def _lock_information(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def zones(environment: Environment, aws: Aws) -> list[Check]:
    """For each instance type, which of the chosen zones offer it; a row per type."""
    chosen = _chosen_zones(environment, aws)
    types = _types(environment)
    offered: dict[str, set[str]] = {name: set() for name in types}
    in_region: set[str] = set()
    pages = aws.ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": types}]
    )
    for page in pages:
        for offering in page["InstanceTypeOfferings"]:
            in_region.add(offering["InstanceType"])
            if offering["Location"] in chosen:
                offered[offering["InstanceType"]].add(offering["Location"])
    rows = []
    for name in types:
        if offered[name]:
            rows.append(Check(f"offered: {name}", "ok", ", ".join(sorted(offered[name]))))
        elif name in in_region:
            rows.append(
                Check(
                    f"offered: {name}",
                    "failed",
                    f"in {environment.region}, but in none of {', '.join(chosen)}",
                    "Choose other network.zones, or take the type out of fleets.",
                )
            )
        else:
            rows.append(
                Check(
                    f"offered: {name}",
                    "failed",
                    f"not in {environment.region}",
                    "Correct the type in fleets, or choose a region that offers it.",
                )
            )
    return rows


def _chosen_zones(environment: Environment, aws: Aws) -> list[str]:
    network = environment.variables.network
    if network.zones:
        return sorted(network.zones)
    if network.existing:
        subnets = aws.ec2.describe_subnets(SubnetIds=[str(item) for item in network.existing["private_subnet_ids"]])
        return sorted({subnet["AvailabilityZone"] for subnet in subnets["Subnets"]})
    # The same choice as modules/network makes: the region's first zones that need no opt-in.
    answer = aws.ec2.describe_availability_zones(
        Filters=[
            {"Name": "state", "Values": ["available"]},
            {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
        ]
    )
    return sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"])[: network.zone_count]


def quotas(environment: Environment, aws: Aws) -> list[Check]:
    """Each quota that the fleets need at their maximum, against what the account has. Unit: vCPUs."""
    types = _types(environment)
    answer = aws.ec2.describe_instance_types(Filters=[{"Name": "instance-type", "Values": types}])
    vcpus = {str(item["InstanceType"]): item["VCpuInfo"]["DefaultVCpus"] for item in answer["InstanceTypes"]}
    rows = []
    for quota in QUOTAS:
        needed = vcpus_needed(environment, quota, vcpus)
        if needed == 0:
            continue
        try:
            value = aws.service_quotas.get_service_quota(ServiceCode="ec2", QuotaCode=quota.code)["Quota"]["Value"]
        except ClientError as error:
            if code_of(error) != "NoSuchResourceException":
                raise
            # Never changed in this account: the default applies, which for GPUs is often 0.
            value = aws.service_quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=quota.code)["Quota"][
                "Value"
            ]
        seen = f"{value:.0f} vCPUs, {needed} needed at max_size"
        if value >= needed:
            rows.append(Check(f"quota {quota.code}", "ok", f"{quota.name}: {seen}"))
        else:
            rows.append(
                Check(
                    f"quota {quota.code}",
                    "failed",
                    f"{quota.name}: {seen}",
                    "Lower max_size, or ask for more: "
                    "aws service-quotas request-service-quota-increase --service-code ec2 "
                    f"--quota-code {quota.code} --desired-value {needed} --region {environment.region}",
                )
            )
    return rows


def vcpus_needed(environment: Environment, quota: Quota, vcpus: dict[str, int]) -> int:
    """vCPUs of one quota when every fleet is at its maximum and runs the largest type it allows."""
    total = 0
    for name, fleet in _fleets(environment).items():
        batch = name != "interactive"
        spot = fleet.max_size if batch else _spot_share(fleet)
        count = spot if quota.spot else fleet.max_size - spot
        sizes = [vcpus.get(item, 0) for item in fleet.instance_types if item.startswith(quota.families)]
        total += count * max(sizes, default=0)
    return total


def _spot_share(fleet: Fleet) -> int:
    return math.floor(max(0, fleet.max_size - fleet.on_demand_base) * fleet.spot_percentage / 100)


def certificate(environment: Environment, aws: Aws) -> Check:
    """An existing certificate is issued and in this region, or the zone that will validate a new one exists."""
    edge = environment.variables.edge
    if edge.certificate_arn:
        region = (edge.certificate_arn.split(":") + [""] * 4)[3]
        if region != environment.region:
            return Check(
                "certificate",
                "failed",
                f"{edge.certificate_arn} is in {region or 'no region'}; a load balancer takes its own region's",
                f"Set edge.certificate_arn to a certificate in {environment.region}.",
            )
        try:
            found = aws.acm.describe_certificate(CertificateArn=edge.certificate_arn)["Certificate"]
        except ClientError as error:
            if code_of(error) not in ("ResourceNotFoundException", "ValidationException", "InvalidArnException"):
                raise
            return Check(
                "certificate",
                "failed",
                f"{edge.certificate_arn} is not in this account and region",
                "Correct edge.certificate_arn.",
            )
        status = found["Status"]
        if status != "ISSUED":
            return Check(
                "certificate", "failed", f"{edge.certificate_arn} is {status}", "Validate or renew it in ACM first."
            )
        return Check("certificate", "ok", f"{found['DomainName']}, valid until {found.get('NotAfter', 'unknown')}")
    if edge.domain is None:
        return Check(
            "certificate",
            "failed",
            "neither edge.domain nor edge.certificate_arn is set",
            'Set edge.domain = { name = "chat.example.org", zone = "example.org" } or edge.certificate_arn.',
        )
    zone = edge.domain.zone.rstrip(".") + "."
    answer = aws.route53.list_hosted_zones_by_name(DNSName=zone, MaxItems="10")
    if any(item["Name"] == zone and not item.get("Config", {}).get("PrivateZone") for item in answer["HostedZones"]):
        return Check("certificate", "ok", f"made for {edge.domain.name} and validated in zone {edge.domain.zone}")
    return Check(
        "certificate",
        "failed",
        f"this account has no public Route 53 zone {edge.domain.zone}",
        "Correct edge.domain.zone, delegate the zone to this account, or set edge.certificate_arn.",
    )


def image(environment: Environment, contract: Contract, aws: Aws) -> Check:
    """The image that instances start from exists and is available."""
    image_id = environment.variables.image_id
    source = "image_id"
    if image_id is None:
        source = contract.parameter("image", environment.name)
        image_id = parameter(aws, source)
        if image_id is None:
            return Check(
                "image",
                "failed",
                f"the parameter {source} does not exist",
                f"Start from a stock image with `make bootstrap ENV={environment.name}`, or bake one.",
            )
    found = images.described(aws, image_id)
    if found is None:
        return Check(
            "image", "failed", f"{image_id} ({source}) does not exist here", "Bake an image, or correct image_id."
        )
    if found.get("State", "available") != "available" or found.get("Architecture", "x86_64") != "x86_64":
        return Check(
            "image",
            "failed",
            f"{image_id} is {found.get('State')}, {found.get('Architecture')}",
            "Use an available x86_64 image.",
        )
    return Check("image", "ok", f"{image_id} {found.get('Name', '')} ({source})")


def model_set(environment: Environment, contract: Contract, aws: Aws) -> Check:
    """The models that instances will serve: without a set every launch waits in vain and is given up."""
    embedder = embedding_model.of(paths.locate(), environment)
    names = [model.name for model in models.published(environment, contract, aws) or []]
    if names and not embedding_model.is_served(embedder, names):
        seen = f"{', '.join(names)}: without {embedder} every uploaded document would fail"
        return Check("models", "failed", seen, embedding_model.remedy(embedder, names, environment))
    if names:
        return _fit(environment, contract, aws, ", ".join(names))
    wanted = " ".join(filter(None, ["gemma3:4b", embedder]))
    return Check(
        "models",
        "failed",
        f"the parameter {contract.parameter('models', environment.name)} names none, so that no instance could serve",
        f'Publish a set from this machine\'s Ollama: make models ENV={environment.name} PUBLISH="{wanted}"',
    )


def _fit(environment: Environment, contract: Contract, aws: Aws, names: str) -> Check:
    serving = role_variables.serving(paths.locate(), environment)
    needs = models.weigh(environment, contract, aws, serving)
    try:
        models.require_fit(environment, serving, needs)
    except UserError as error:
        return Check("models", "failed", error.message, error.remedy)
    taken = f": {model_memory.total(needs.values()) / model_memory.GIB:.2f} GiB of each GPU" if needs else ""
    return Check("models", "ok", f"{names}{taken}")


def sign_on(environment: Environment, contract: Contract, aws: Aws) -> list[Check]:
    """Where single sign-on is wanted, its client secret is there: instances that lack it do not start."""
    wanted = environment.variables.sign_on
    if wanted is None:
        return []
    if secret_values.has_client_secret(environment, contract, aws):
        return [Check("sign-on", "ok", f"client {wanted.client_id} at {wanted.discovery_url}")]
    name = contract.secret("sign_on", environment.name)
    remedy = (
        f"Give it: ollama-gpu sign-on --env {environment.name} < FILE. "
        "In a new environment deploy without sign_on first, which makes the secret."
    )
    return [Check("sign-on", "failed", f"sign_on is set, but {name} holds no client secret", remedy)]


def _fleets(environment: Environment) -> dict[str, Fleet]:
    """The fleets that will exist: any but the interactive one is all spot, and there is none without spot."""
    variables = environment.variables
    return {name: fleet for name, fleet in variables.fleets.items() if name == "interactive" or variables.spot_enabled}


def _types(environment: Environment) -> list[str]:
    return sorted({name for fleet in _fleets(environment).values() for name in fleet.instance_types})


def summary(checks: Sequence[Check]) -> str:
    """One line for the deploy's story."""
    failed = sum(check.state == "failed" for check in checks)
    return f"{len(checks)} checks, {failed} failed"
