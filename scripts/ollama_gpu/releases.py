"""What is being deployed: the release that tags every resource, and what instances need to converge to it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from ollama_gpu.aws import Aws, delete_parameter, parameter, put_parameter
from ollama_gpu.collection import Archive
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment


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


def publish(environment: Environment, contract: Contract, aws: Aws, release: str, archive: Archive) -> bool:
    """Put the release's collection into the artifact bucket and name it in the parameter that instances read.

    False when exactly this is published already. The archive comes first: whoever reads the parameter finds it there.
    """
    name = contract.parameter("release", environment.name)
    value = json.dumps({"release": release, "collection_sha256": archive.sha256}, sort_keys=True)
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
