"""What is being deployed: the release that tags every resource, and the collection by which instances converge."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu import collection, role_variables, s3
from ollama_gpu.context import Context
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.paths import Paths


@dataclass(frozen=True)
class Release:
    """``name`` is the commit. ``archive`` is the collection's, None when only the bucket has it.

    ``open_webui`` is its image or package: another one than runs migrates the database.

    ``image`` is the AMI to insist on; None takes what the environment's parameter or its variables name.
    """

    name: str
    collection_sha256: str
    open_webui: str
    archive: Path | None = None
    image: str | None = None


def of_checkout(paths: Paths, environment: Environment) -> Release:
    """The release that this checkout is, its collection built in the environment's working folder."""
    archive = collection.build(paths.repository, paths.environment(environment.name))
    return Release(current(paths.repository), archive.sha256, open_webui(paths, environment), archive.path)


def current(repository: Path) -> str:
    """The checkout's commit, 12 digits, with ``-dirty`` when tracked files differ from it.

    ``unversioned`` outside git (an unpacked archive): the deploy works, but can only be told apart by its time.
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
    """The Open WebUI that this checkout brings to an environment: its image, or the package that it is built of."""
    role = collection.role(paths.repository, "open_webui")
    variables = role_variables.load(role / "defaults" / "main.yml") | role_variables.read(paths, environment)
    image = str(variables["open_webui_image"])
    if not image:
        return next(line for line in (role / "files/image/open-webui.lock").read_text().split() if "==" in line)
    named = re.fullmatch(r"{{ *(\w+) *}}", image)
    return str(variables.get(named[1], image)) if named else image


def publish(context: Context, release: Release) -> bool:
    """Put the release's collection into the artifact bucket, under its digest; False when it is there already.

    Raises UserError when a release of the past has lost its collection.
    """
    bucket = context.artifact_bucket
    key = context.contract.artifacts["collection"].format(collection_sha256=release.collection_sha256)
    if s3.has_object(context.aws, bucket, key):
        return False
    if release.archive is None:
        raise UserError(
            f"The collection of release {release.name} is gone: s3://{bucket}/{key} does not exist.",
            "Somebody removed it. Check that commit out and deploy it from there.",
        )
    s3.put(context.aws, bucket, key, release.archive.read_bytes(), release.collection_sha256)
    return True
