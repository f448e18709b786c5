"""What is being deployed: the release that tags every resource, and what instances need to converge to it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from ollama_gpu import role_variables
from ollama_gpu.aws import Aws, delete_parameter, parameter, put_parameter
from ollama_gpu.collection import Archive
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.paths import Paths


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
    role = paths.repository / "ansible_collections" / "ollama" / "gpu" / "roles" / "open_webui"
    variables = role_variables.load(role / "defaults" / "main.yml") | role_variables.read(paths, environment)
    if variables["open_webui_image_build"]:
        return next(line for line in (role / "files/image/open-webui.lock").read_text().split() if "==" in line)
    image = str(variables["open_webui_image"])
    named = re.fullmatch(r"{{ *(\w+) *}}", image)
    return str(variables.get(named[1], image)) if named else image


def published(environment: Environment, contract: Contract, aws: Aws) -> dict[str, Any] | None:
    """What instances converge to now; None before the first deploy."""
    value = parameter(aws, contract.parameter("release", environment.name))
    return None if value is None else dict(json.loads(value))


def publish(
    environment: Environment, contract: Contract, aws: Aws, release: str, archive: Archive, open_webui: str
) -> bool:
    """Put the release's collection into the artifact bucket and name it in the parameter that instances read.

    ``open_webui`` is named beside it: the next deploy asks which one runs before it migrates the database.

    False when exactly this is published already. The archive comes first: whoever reads the parameter finds it there.
    """
    name = contract.parameter("release", environment.name)
    said = {"release": release, "collection_sha256": archive.sha256, "open_webui": open_webui}
    value = json.dumps(said, sort_keys=True)
    if parameter(aws, name) == value:
        return False
    aws.s3.put_object(
        Bucket=contract.artifact_bucket(aws.identity.account, environment.region),
        Key=contract.artifacts["collection"].format(release=release),
        Body=archive.path.read_bytes(),
        ChecksumSHA256=base64.b64encode(bytes.fromhex(archive.sha256)).decode(),
    )
    tags = {**contract.driver_tags(environment.name), contract.tags["release"]: release}
    put_parameter(aws, name, value, "The release that instances converge to", tags)
    return True


def forget(environment: Environment, contract: Contract, aws: Aws) -> None:
    """Remove the parameter; what was published stays in the artifact bucket for other environments and for rollback."""
    delete_parameter(aws, contract.parameter("release", environment.name))
