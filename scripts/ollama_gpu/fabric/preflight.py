"""Check an environment before anything is created. Each check returns rows: what was checked, the result, the remedy.

Checks only read from AWS. Variables' types and validation rules are left to Terraform.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ollama_gpu.core import paths, s3
from ollama_gpu.core.aws import code_of, explain, parameter
from ollama_gpu.core.checks import Check
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import images, remote_state, secrets
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment
from ollama_gpu.fabric import quotas
from ollama_gpu.models import embedding, memory
from ollama_gpu.models import model_set as models
from ollama_gpu.models import serving as serving_settings
from ollama_gpu.planning import database as connections


def run(context: Context) -> list[Check]:
    """Run all checks of an environment. Errors from AWS become failed rows."""
    identity = _identity(context)
    if identity.state == "failed":
        return [identity]
    checks: list[Callable[[], Iterable[Check]]] = [
        lambda: state(context),
        lambda: zones(context),
        lambda: quotas.vcpus(context),
        lambda: _addresses(context),
        lambda: [database(context)],
        lambda: [certificate(context)],
        lambda: [image(context)],
        lambda: [] if context.environment.embedded else [model_set(context)],  # the lab supplies a model set
        lambda: sign_on(context),
    ]
    rows = [identity]
    for check in checks:
        try:
            rows += check()
        except (BotoCoreError, ClientError) as error:
            explained = explain(error)
            rows.append(Check("AWS", "failed", explained.message, explained.remedy))
    return rows


def _identity(context: Context) -> Check:
    try:
        identity = context.aws.identity
    except (BotoCoreError, ClientError) as error:
        explained = explain(error)
        return Check("identity", "failed", explained.message, explained.remedy)
    return Check("identity", "ok", f"{identity.arn} in {context.environment.region}")


def state(context: Context) -> list[Check]:
    """Check that the state bucket exists, that the state is not locked, and that it can be read."""
    bucket, _ = remote_state.location(context)
    if not s3.has_bucket(context.aws, bucket):
        remedy = f"Create it, once per account and region: make bootstrap ENV={context.environment.name}"
        return [Check("state bucket", "failed", f"{bucket} does not exist", remedy)]
    return [
        Check("state bucket", "ok", bucket),
        _lock(context, bucket),
        remote_state.check(context),
    ]


def _lock(context: Context, bucket: str) -> Check:
    # With use_lockfile, Terraform >= 1.10 stores the lock as an object next to the state.
    body = s3.read(context.aws, bucket, f"{context.environment.state_key}.tflock")
    if body is None:
        return Check("state lock", "ok", "not locked")
    holder = _lock_information(body)
    if "ID" not in holder:
        # `terraform force-unlock` cannot read it either.
        return Check(
            "state lock",
            "failed",
            "locked, but the lock file is not valid",
            "Make sure that no deploy is running, then delete the lock file: "
            f"aws s3 rm s3://{bucket}/{context.environment.state_key}.tflock --region {context.environment.region}",
        )
    return Check(
        "state lock",
        "failed",
        f"locked by {holder.get('Who', 'an unknown user')} for {holder.get('Operation', 'an unknown operation')} "
        f"since {holder.get('Created', 'an unknown time')}",
        "Wait for that run to end. Only if it is no longer running, release the lock: "
        f"make unlock ENV={context.environment.name} LOCK={holder['ID']}",
    )


def _lock_information(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def zones(context: Context) -> list[Check]:
    """Check each instance type: which of the chosen zones offer it. One row per type."""
    chosen = _chosen_zones(context)
    types = _types(context.environment)
    offered: dict[str, set[str]] = {name: set() for name in types}
    in_region: set[str] = set()
    pages = context.aws.ec2.get_paginator("describe_instance_type_offerings").paginate(
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
                    f"offered in {context.environment.region}, but not in {', '.join(chosen)}",
                    "Choose other zones in network.zones, or remove the type from fleets.",
                )
            )
        else:
            rows.append(
                Check(
                    f"offered: {name}",
                    "failed",
                    f"not offered in {context.environment.region}",
                    "Correct the type in fleets, or choose a region that offers it.",
                )
            )
    return rows


def _chosen_zones(context: Context) -> list[str]:
    network = context.environment.variables.network
    if network.zones:
        return sorted(network.zones)
    if network.existing:
        subnets = context.aws.ec2.describe_subnets(
            SubnetIds=[str(item) for item in network.existing["private_subnet_ids"]]
        )
        return sorted({subnet["AvailabilityZone"] for subnet in subnets["Subnets"]})
    # The same choice as in modules/network: the region's first zones that need no opt-in.
    answer = context.aws.ec2.describe_availability_zones(
        Filters=[
            {"Name": "state", "Values": ["available"]},
            {"Name": "opt-in-status", "Values": ["opt-in-not-required"]},
        ]
    )
    return sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"])[: network.zone_count]


def _addresses(context: Context) -> list[Check]:
    if context.environment.variables.network.existing:
        return []  # it has its own way out
    return [quotas.addresses(context, len(_chosen_zones(context)))]


def database(context: Context) -> Check:
    """Compare the connections that the instances open at most with those that the database takes."""
    instance_class = context.environment.variables.data.database_instance_class
    needed = connections.needed(context.paths, context.environment)
    limit = connections.limit(context.paths, instance_class)
    if limit is None:
        return Check(
            "database",
            "warning",
            f"the connections that {instance_class} takes are not known; the instances open up to {needed}",
            "Set alarms.database_connections below the class's max_connections, which must exceed the need.",
        )
    seen = f"{instance_class} takes {limit} connections or more; the instances open up to {needed} in a rollout"
    if unknown := connections.unknown(context.environment):
        seen += f", without {', '.join(unknown)}, which this tree does not know"
    if needed <= limit:
        return Check("database", "ok", seen)
    return Check(
        "database",
        "warning",  # no more: the pools are rarely full, and a rollback must not wait for a larger database
        seen,
        "Set a larger data.database_instance_class, or fewer open_webui_processes in "
        f"inventories/{context.environment.name}/group_vars/all.yml.",
    )


def certificate(context: Context) -> Check:
    """Check that the certificate is issued and in this region, or that the zone to validate a new one exists."""
    edge = context.environment.variables.edge
    if edge.certificate_arn:
        region = (edge.certificate_arn.split(":") + [""] * 4)[3]
        if region != context.environment.region:
            return Check(
                "certificate",
                "failed",
                f"{edge.certificate_arn} is in {region or 'no region'}; it must be in the load balancer's region",
                f"Set edge.certificate_arn to a certificate in {context.environment.region}.",
            )
        try:
            found = context.aws.acm.describe_certificate(CertificateArn=edge.certificate_arn)["Certificate"]
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
            return Check("certificate", "failed", f"{edge.certificate_arn} is {status}", "Validate or renew it in ACM.")
        return Check("certificate", "ok", f"{found['DomainName']}, valid until {found.get('NotAfter', 'unknown')}")
    if edge.domain is None:
        return Check(
            "certificate",
            "failed",
            "neither edge.domain nor edge.certificate_arn is set",
            'Set edge.domain = { name = "chat.example.org", zone = "example.org" } or edge.certificate_arn.',
        )
    zone = edge.domain.zone.rstrip(".") + "."
    answer = context.aws.route53.list_hosted_zones_by_name(DNSName=zone, MaxItems="10")
    if any(item["Name"] == zone and not item.get("Config", {}).get("PrivateZone") for item in answer["HostedZones"]):
        return Check("certificate", "ok", f"created for {edge.domain.name} and validated in zone {edge.domain.zone}")
    return Check(
        "certificate",
        "failed",
        f"this account has no public Route 53 zone {edge.domain.zone}",
        "Correct edge.domain.zone, delegate the zone to this account, or set edge.certificate_arn.",
    )


def image(context: Context) -> Check:
    """Check that the instances' image exists and is available."""
    image_id = context.environment.variables.image_id
    source = "image_id"
    if image_id is None:
        source = context.contract.parameter("image", context.environment.name)
        image_id = parameter(context.aws, source)
        if image_id is None:
            return Check(
                "image",
                "failed",
                f"the parameter {source} does not exist",
                f"Publish a stock image with `make bootstrap ENV={context.environment.name}`, or bake an image.",
            )
    found = images.described(context.aws, image_id)
    if found is None:
        return Check(
            "image",
            "failed",
            f"{image_id} ({source}) does not exist in this region",
            "Bake an image, or correct image_id.",
        )
    if found.get("State", "available") != "available" or found.get("Architecture", "x86_64") != "x86_64":
        return Check(
            "image",
            "failed",
            f"{image_id} is {found.get('State')}, {found.get('Architecture')}",
            "Use an available x86_64 image.",
        )
    return Check("image", "ok", f"{image_id} {found.get('Name', '')} ({source})")


def model_set(context: Context) -> Check:
    """Check the model set: without one, no new instance becomes ready and every launch times out."""
    embedder = embedding.of(paths.locate(), context.environment)
    names = [model.name for model in models.published(context) or []]
    if names and not embedding.is_served(embedder, names):
        seen = f"{', '.join(names)}: without {embedder}, processing any uploaded document fails"
        return Check("models", "failed", seen, embedding.remedy(embedder, names, context.environment))
    if names:
        return _fit(context, ", ".join(names))
    wanted = " ".join(filter(None, ["gemma3:4b", embedder]))
    return Check(
        "models",
        "failed",
        f"{context.contract.parameter('models', context.environment.name)} names no model, so instances cannot serve",
        f'Publish models from this machine\'s Ollama: make models ENV={context.environment.name} PUBLISH="{wanted}"',
    )


def _fit(context: Context, names: str) -> Check:
    serving = serving_settings.read(paths.locate(), context.environment)
    needs = models.weigh(context, serving)
    try:
        models.require_fit(context.environment, serving, needs)
    except UserError as error:
        return Check("models", "failed", error.message, error.remedy)
    taken = f": {memory.total(needs.values()) / memory.GIB:.2f} GiB of each GPU" if needs else ""
    return Check("models", "ok", f"{names}{taken}")


def sign_on(context: Context) -> list[Check]:
    """Check that the client secret exists if single sign-on is configured; without it, instances do not start."""
    wanted = context.environment.variables.sign_on
    if wanted is None:
        return []
    if secrets.has_client_secret(context):
        return [Check("sign-on", "ok", f"client {wanted.client_id} at {wanted.discovery_url}")]
    name = context.contract.secret("sign_on", context.environment.name)
    remedy = (
        f"Set the client secret: ollama-gpu sign-on --env {context.environment.name} < FILE. "
        "In a new environment, first deploy without sign_on; that creates the secret."
    )
    return [Check("sign-on", "failed", f"sign_on is set, but {name} contains no client secret", remedy)]


def _types(environment: Environment) -> list[str]:
    return sorted({name for fleet in environment.fleets.values() for name in fleet.instance_types})


def summary(checks: Sequence[Check]) -> str:
    """The result in one line, for the deploy's progress."""
    failed = sum(check.state == "failed" for check in checks)
    return f"{len(checks)} checks, {failed} failed"
