"""The release to deploy: the name that tags every resource, and the Ansible collection for the instances."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core import collection, s3
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import role_variables
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment


@dataclass(frozen=True)
class Release:
    """A release. ``name`` is the commit. ``archive`` is the built collection, None if only the bucket has it.

    ``open_webui`` is the image or the package of Open WebUI. A change of it migrates the database.

    ``image`` is a required AMI. None uses the AMI from the environment's SSM parameter or its variables.
    """

    name: str
    collection_sha256: str
    open_webui: str
    archive: Path | None = None
    image: str | None = None


def of_checkout(paths: Paths, environment: Environment) -> Release:
    """Return the release of this checkout. Builds its collection in the environment's work folder."""
    archive = collection.build(paths.repository, paths.environment(environment.name))
    return Release(current(paths.repository), archive.sha256, open_webui(paths, environment), archive.path)


def current(repository: Path) -> str:
    """Return the checkout's commit, 12 digits, with ``-dirty`` if tracked files differ from it.

    Returns ``unversioned`` outside git, such as in an unpacked archive. Deploys then differ only in their time.
    """
    try:
        described = subprocess.run(
            ["git", "-C", str(repository), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unversioned"
    return described.stdout.strip()


def open_webui(paths: Paths, environment: Environment) -> str:
    """Return the Open WebUI of this checkout for an environment: its image, or the package to build it from."""
    role = collection.role(paths.repository, "open_webui")
    variables = role_variables.load(role / "defaults" / "main.yml") | role_variables.read(paths, environment)
    image = str(variables["open_webui_image"])
    if not image:
        return next(line for line in (role / "files/image/open-webui.lock").read_text().split() if "==" in line)
    named = re.fullmatch(r"{{ *(\w+) *}}", image)
    return str(variables.get(named[1], image)) if named else image


def publish(context: Context, release: Release) -> bool:
    """Upload the collection to the artifact bucket, by its digest. Returns False if it is already there.

    Raises UserError if the collection of a recorded release no longer exists.
    """
    bucket = context.artifact_bucket
    key = context.contract.artifacts["collection"].format(collection_sha256=release.collection_sha256)
    if s3.has_object(context.aws, bucket, key):
        return False
    if release.archive is None:
        raise UserError(
            f"The collection of release {release.name} no longer exists: s3://{bucket}/{key}.",
            "Check out that commit, and deploy from that checkout.",
        )
    s3.put(context.aws, bucket, key, release.archive.read_bytes(), release.collection_sha256)
    return True
