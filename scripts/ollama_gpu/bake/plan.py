"""What a bake has to do, decided before anything is rented: the content's key, and what exists of it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu import collection, images, releases, role_variables, s3
from ollama_gpu.aws import parameter
from ollama_gpu.bake import builders, content, engine, host_tests
from ollama_gpu.bake.builders import Builder
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.lab import places
from ollama_gpu.lab.docker import Docker
from ollama_gpu.lab.supply import supply
from ollama_gpu.paths import make_folder
from ollama_gpu.progress import progress_view


@dataclass(frozen=True)
class Request:
    """What the play was asked for. ``variables`` are the roles' variables given beside the environment's files."""

    roles: Sequence[str]
    variables: Mapping[str, object]
    builder: str | None = None
    connection: str = "ssm"
    base_image: str | None = None
    force: bool = False
    takeover: bool = False


def make(context: Context, request: Request) -> dict[str, Any]:
    """The plan, as the play reads it. Raises UserError when a bake cannot start."""
    where, environment = context.paths, context.environment
    kind = request.builder or ("container" if environment.embedded else "ec2")
    base_name, base = _base(context, kind, request.base_image)
    files = role_variables.files(context.paths, context.environment)
    tree = collection.source(where.repository)
    play = where.repository / "playbooks"
    inputs = {
        "collection": content.digest_of_files(tree, content.files_of(tree)),
        "play": content.digest_of_files(play, _files_of_play(play)),
        "builder": kind,
        "base": base,
        "roles": list(request.roles),
        "variables": [*(role_variables.load(path) for path in files), dict(request.variables)],
    }
    key = content.key(inputs)
    found = existing(context, kind, key)
    forced = request.force and not found.is_new
    suffix = f"{key}-{datetime.now(UTC):%Y%m%d%H%M%S}" if forced else key
    build = request.force or found.is_new
    if build and kind == "ec2" and request.connection == "ssm":
        _require_session_manager()
    makers = _builders(context, kind)
    archive = collection.build(where.repository, where.work / "bake") if build else None
    maker = builders.this_maker()
    release = releases.current(where.repository)
    return {
        "environment": environment.name,
        "region": environment.region,
        "kind": kind,
        "key": key,
        "name": f"{context.contract.project}-host-{suffix}",
        "container_image": f"{engine.REPOSITORY}:{suffix}",
        "base_name": base_name,
        "base_image": base,
        "action": "build" if build else found.action,
        "image_id": found.image_id,
        "found_container": found.container,
        "tests": [str(file) for file in host_tests.select(tree, where.repository / "tests" / "host", request.roles)],
        "leftovers": builders.abandoned(makers, request.takeover, builders.alive, time.time()),
        "maker": maker.label,
        "builder_name": f"{engine.builder_prefix(environment.name)}{maker.pid}",
        "release": release,
        "collection_archive": str(archive.path) if archive else None,
        "collection_sha256": archive.sha256 if archive else None,
        "variables_files": [str(path) for path in (_between_roles(context), *files)] if build else [],
        "tags": images.tags(context.contract, environment.name, release, key),
        "aws_environment": context.exports,
        "work": str(where.work),
        "folder": str(where.work / "bake" / environment.name),
        "account": _account(context) if kind == "ec2" and build else {},
    }


def _between_roles(context: Context) -> Path:
    """What one role has to know of another, as the collection's playbook `host` says it, in a file of its own.

    The play converges with the same variables; a playbook cannot be imported where a failure is to be caught.
    """
    playbook = collection.source(context.paths.repository) / "playbooks" / "host.yml"
    variables: dict[str, Any] = next((play["vars"] for play in role_variables.load(playbook) if "vars" in play), {})
    target = context.paths.work / "bake" / context.environment.name / "host.yml"
    make_folder(target.parent)
    target.write_text(yaml.safe_dump(variables), encoding="utf-8")
    return target


def _files_of_play(play: Path) -> list[Path]:
    folders = ("files", "tasks", "vars")
    return [play / "bake-ami.yml", *(path for name in folders for path in content.files_of(play / name))]


@dataclass(frozen=True)
class Existing:
    """What there is of an image's content: nothing, a container image, an image id, or all and published."""

    action: str = "build"
    image_id: str | None = None
    container: str | None = None

    @property
    def is_new(self) -> bool:
        return self.action == "build"


def existing(context: Context, kind: str, key: str) -> Existing:
    """What has to be done for this key when nobody insists on a new image."""
    containers = [image for image in engine.baked() if image.key == key] if kind == "container" else []
    references = {image.reference for image in containers}
    known = [image for image in images.baked(context.contract, context.aws) if image.key == key]
    usable = [
        image for image in known if (image.container in references if kind == "container" else not image.container)
    ]
    if usable:
        name = context.contract.parameter("image", context.environment.name)
        published = parameter(context.aws, name) == usable[0].identifier
        return Existing("nothing" if published else "publish", usable[0].identifier, usable[0].container or None)
    if containers:
        return Existing("register", None, containers[0].reference)
    return Existing()


def _base(context: Context, kind: str, asked: str | None) -> tuple[str, str]:
    """The name and the id of what the bake starts from."""
    if kind == "container":
        name = asked or os.environ.get("OLLAMA_GPU_BASE_IMAGE") or _supply(context)
        return name, engine.image_id(name)
    image = asked or images.stock_image(context.aws)
    if image is None:
        raise UserError(
            f"{context.environment.region} has no public parameter {images.STOCK_PARAMETER}.",
            "Name the image to bake from: -e bake_base_image=ami-...",
        )
    return image, image


def _supply(context: Context) -> str:
    """Have the lab serve what the roles install, and return its base image; seconds when it does already."""
    view = progress_view(console_is_terminal=False, quiet=False)
    return supply(places.locate(context.paths), Docker(), view).base_image


def _builders(context: Context, kind: str) -> Iterable[Builder]:
    if kind == "container":
        return engine.builders(context.environment.name, context.paths.work)
    tags = context.contract.tags
    filters: list[Any] = [
        {"Name": f"tag:{tags['project']}", "Values": [context.contract.project]},
        {"Name": f"tag:{tags['environment']}", "Values": [context.environment.name]},
        {"Name": "tag-key", "Values": ["BakeMaker"]},
    ]
    # a killed bake may have left only a key or a security group
    found: dict[str, str] = {}
    for group in context.aws.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
        found[group["GroupName"]] = _maker(group.get("Tags", []))
    for pair in context.aws.ec2.describe_key_pairs(Filters=filters)["KeyPairs"]:
        found[pair["KeyName"]] = _maker(pair.get("Tags", []))
    live = [*filters, {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    for page in context.aws.ec2.get_paginator("describe_instances").paginate(Filters=live):
        for instance in (each for reservation in page["Reservations"] for each in reservation["Instances"]):
            labels = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
            found[labels.get("Name", instance["InstanceId"])] = labels["BakeMaker"]
    return [Builder(name, maker) for name, maker in sorted(found.items())]


def _maker(found: Iterable[Any]) -> str:
    return next((str(tag["Value"]) for tag in found if tag["Key"] == "BakeMaker"), "")


def _account(context: Context) -> dict[str, Any]:
    """What bootstrap made for the builder, from its state: the instance profile and the artifact bucket."""
    bucket, key = context.state_bucket, context.contract.state["bootstrap_key"]
    state = s3.read(context.aws, bucket, key)
    if state is None:
        raise UserError(
            f"Account {context.aws.identity.account} is not bootstrapped in {context.environment.region}: "
            f"{bucket} holds no state of it.",
            f"Run: make bootstrap ENV={context.environment.name}",
        )
    outputs = {name: each["value"] for name, each in json.loads(state).get("outputs", {}).items()}
    return {name: outputs[name] for name in ("image_builder_profile", "artifact_bucket")}


def _require_session_manager() -> None:
    """Raises UserError when the plugin through which Ansible reaches an instance without an open port is missing."""
    if shutil.which("session-manager-plugin") is None:
        raise UserError(
            "session-manager-plugin is not installed on this machine.",
            "Install it (AWS documents how), or bake with -e bake_connection=ssh -e bake_ssh_cidr=<you>/32.",
        )
