"""Plan a bake before any resource is created: compute the content's key and look for existing images with it."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.bake import builders, content, engine, host_tests
from ollama_gpu.bake.builders import Builder
from ollama_gpu.core import collection, s3
from ollama_gpu.core.aws import parameter
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths, make_folder
from ollama_gpu.environment import images, role_variables
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment
from ollama_gpu.local.lab import locations
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.supply import supply
from ollama_gpu.releases import release as releases
from ollama_gpu.terraform.progress import progress_view


@dataclass(frozen=True)
class Request:
    """The play's request. ``variables`` are role variables in addition to those of the environment's files."""

    roles: Sequence[str]
    variables: Mapping[str, object]
    builder: str | None = None
    connection: str = "ssm"
    base_image: str | None = None
    force: bool = False
    takeover: bool = False


def make(context: Context, request: Request) -> dict[str, Any]:
    """The plan that the play reads. Raises UserError when a bake cannot start."""
    where, environment = context.paths, context.environment
    kind = request.builder or ("container" if environment.embedded else "ec2")
    base_name, base = _base(context, kind, request.base_image)
    files = role_variables.files(context.paths, context.environment)
    tree = collection.source(where.repository)
    key = content.key(inputs(where, environment, kind, base, request.roles, request.variables))
    found = existing(context, kind, key)
    forced = request.force and not found.is_new
    suffix = f"{key}-{datetime.now(UTC):%Y%m%d%H%M%S}" if forced else key
    build = request.force or found.is_new
    if build and kind == "ec2" and request.connection == "ssm":
        _require_session_manager()
    found_builders = _builders(context, kind)
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
        "leftovers": builders.abandoned(found_builders, request.takeover, builders.alive, time.time()),
        "maker": maker.label,
        "builder_name": f"{engine.builder_prefix(environment.name)}{maker.pid}",
        "release": release,
        "collection_archive": str(archive.path) if archive else None,
        "collection_sha256": archive.sha256 if archive else None,
        "role_variables": _fingerprints(tree, role_variables.read(where, environment) | dict(request.variables)),
        "variables_files": [str(path) for path in (_write_host_variables(context), *files)] if build else [],
        "tags": images.tags(context.contract, environment.name, release, key),
        "aws_environment": context.exports,
        "work": str(where.work),
        "folder": str(where.work / "bake" / environment.name),
        "account": _account(context) if kind == "ec2" and build else {},
    }


def roles(paths: Paths) -> list[str]:
    """Return the roles of the collection's playbook `host`, which the play applies by default."""
    return [each["role"] for each in _host_plays(paths)[0]["roles"]]


def _host_plays(paths: Paths) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = role_variables.load(collection.source(paths.repository) / "playbooks" / "host.yml")
    return plays


def inputs(
    paths: Paths,
    environment: Environment,
    kind: str,
    base: str,
    roles: Sequence[str],
    variables: Mapping[str, object],
) -> dict[str, object]:
    """Return the inputs of an image's key."""
    tree, play = collection.source(paths.repository), paths.repository / "playbooks"
    files = role_variables.files(paths, environment)
    return {
        "collection": content.digest_of_files(tree, content.files_of(tree)),
        "play": content.digest_of_files(play, _files_of_play(play)),
        "builder": kind,
        "base": base,
        "roles": list(roles),
        "variables": [*(role_variables.load(path) for path in files), dict(variables)],
    }


def _write_host_variables(context: Context) -> Path:
    """Write the variables of the collection's playbook `host`, which roles need to know of each other, to a file.

    The play applies the roles with these variables. It cannot import the playbook, because it must catch failures.
    """
    variables: dict[str, Any] = next((play["vars"] for play in _host_plays(context.paths) if "vars" in play), {})
    target = context.paths.work / "bake" / context.environment.name / "host.yml"
    make_folder(target.parent)
    target.write_text(yaml.safe_dump(variables), encoding="utf-8")
    return target


def _fingerprints(tree: Path, variables: Mapping[str, object]) -> dict[str, str]:
    """Return the digest of each role's variables, computed by the boot program, which compares them at each boot."""
    program = runpy.run_path(str(tree / "roles" / "boot" / "files" / "ollama-gpu-boot"))
    digests: dict[str, str] = program["fingerprints"](variables, program["role_names"](tree))
    return digests


def _files_of_play(play: Path) -> list[Path]:
    folders = ("files", "tasks", "vars")
    return [play / "bake-ami.yml", *(path for name in folders for path in content.files_of(play / name))]


@dataclass(frozen=True)
class Existing:
    """What exists with a content key.

    ``action`` is the missing step: `build` (nothing exists), `register` (only a container image), `publish` (an image
    that is not published) or `nothing`.
    """

    action: str = "build"
    image_id: str | None = None
    container: str | None = None

    @property
    def is_new(self) -> bool:
        return self.action == "build"


def existing(context: Context, kind: str, key: str) -> Existing:
    """Look for an image with this key, and decide what is missing."""
    containers = [image for image in engine.baked() if image.key == key] if kind == "container" else []
    references = {image.reference for image in containers}
    known = [image for image in images.baked(context) if image.key == key]
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


def _base(context: Context, kind: str, requested: str | None) -> tuple[str, str]:
    """The name and the id of the image that the bake starts from."""
    if kind == "container":
        name = requested or os.environ.get("OLLAMA_GPU_BASE_IMAGE") or _supply(context)
        return name, engine.image_id(name)
    image = requested or images.stock_image(context.aws)
    if image is None:
        raise UserError(
            f"{context.environment.region} has no public parameter {images.STOCK_PARAMETER}.",
            "Set the image to bake from: -e bake_base_image=ami-...",
        )
    return image, image


def _supply(context: Context) -> str:
    """Make the lab serve what the roles install, and return its base image. Takes seconds if the lab serves already."""
    view = progress_view(console_is_terminal=False, quiet=False)
    return supply(locations.locate(context.paths), Docker(), view).base_image


def _builders(context: Context, kind: str) -> Iterable[Builder]:
    if kind == "container":
        return engine.builders(context.environment.name, context.paths.work)
    tags = context.contract.tags
    filters: list[Any] = [
        {"Name": f"tag:{tags['project']}", "Values": [context.contract.project]},
        {"Name": f"tag:{tags['environment']}", "Values": [context.environment.name]},
        {"Name": "tag-key", "Values": ["BakeMaker"]},
    ]
    # A killed bake may have left only a key pair or a security group.
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
    """The builder's instance profile and the artifact bucket, from bootstrap's state."""
    bucket, key = context.state_bucket, context.contract.state["bootstrap_key"]
    state = s3.read(context.aws, bucket, key)
    if state is None:
        raise UserError(
            f"Account {context.aws.identity.account} is not bootstrapped in {context.environment.region}: "
            f"the bucket {bucket} has no bootstrap state.",
            f"Run: make bootstrap ENV={context.environment.name}",
        )
    outputs = {name: each["value"] for name, each in json.loads(state).get("outputs", {}).items()}
    return {name: outputs[name] for name in ("image_builder_profile", "artifact_bucket")}


def _require_session_manager() -> None:
    """Raise UserError if the plugin is missing through which Ansible reaches an instance without an open port."""
    if shutil.which("session-manager-plugin") is None:
        raise UserError(
            "session-manager-plugin is not installed on this machine.",
            "Install it (see AWS's documentation), or use SSH: -e bake_connection=ssh -e bake_ssh_cidr=<address>/32.",
        )
