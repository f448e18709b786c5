"""The content of an instance's metadata service, and its transfer to the service's container."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.images import Image

from .view import Instance

_PROGRAM = Path(__file__).with_name("metadata_service.py").read_text(encoding="utf-8")
_PLACE = "/usr/local/lib/metadata_service.py"
_STATE = "/run/metadata"

IMAGE = Image(
    "metadata",
    ("ca-certificates", "iproute2", "python3"),
    files=((_PLACE.lstrip("/"), _PROGRAM),),
    changes=(f'CMD ["/usr/bin/python3", "{_PLACE}", "{_STATE}"]',),
    purpose="an instance's metadata service",
)
"""Python and the service. Its container owns the network that the instance's container joins."""


def facts(instance: Instance, address: str, mac: str) -> dict[str, str]:
    """Return the paths from EC2's and Auto Scaling's data; ``address`` (IPv4) and ``mac`` are the container's."""
    interface = f"network/interfaces/macs/{mac}"
    data = {
        "ami-id": instance.image_id,
        "ami-launch-index": "0",
        "hostname": instance.host_name,
        "instance-id": instance.identifier,
        "instance-life-cycle": instance.lifecycle,
        "instance-type": instance.instance_type,
        "local-hostname": instance.host_name,
        "local-ipv4": address,
        "mac": mac,
        f"{interface}/device-number": "0",
        f"{interface}/local-ipv4s": address,
        f"{interface}/mac": mac,
        "placement/availability-zone": instance.zone,
        "placement/region": instance.region,
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        **{f"tags/instance/{key}": value for key, value in instance.tags.items() if "/" not in key},
    }
    if instance.role:
        data["iam/info"] = json.dumps({"Code": "Success", "InstanceProfileArn": instance.profile})
    if instance.target_state:
        data["autoscaling/target-lifecycle-state"] = instance.target_state
    paths = {f"meta-data/{path}": text for path, text in data.items()}
    paths["dynamic/instance-identity/document"] = json.dumps(_document(instance, address))
    if instance.user_data:
        paths["user-data"] = instance.user_data.decode("utf-8", "surrogateescape")
    return paths


def credentials(instance: Instance, keys: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of the role's credentials, with ``keys`` from `credentials.Credentials.of`."""
    role = instance.role.rsplit("/", 1)[-1]
    return {f"meta-data/iam/security-credentials/{role}": json.dumps(dict(keys))}


def write(docker: Docker, container: str, name: str, paths: Mapping[str, str]) -> None:
    """Replace the file ``name`` of the service's state, by standard input: no command line contains credentials."""
    file = f"{_STATE}/{name}.json"
    script = f"umask 077; mkdir -p {_STATE} && cat > {file}.new && mv {file}.new {file}"
    docker.output("exec", "--interactive", container, "sh", "-c", script, text=json.dumps(dict(paths)))


def _document(instance: Instance, address: str) -> dict[str, str]:
    return {
        "accountId": instance.account,
        "architecture": "x86_64",
        "availabilityZone": instance.zone,
        "imageId": instance.image_id,
        "instanceId": instance.identifier,
        "instanceType": instance.instance_type,
        "pendingTime": instance.launched,
        "privateIp": address,
        "region": instance.region,
        "version": "2017-09-30",
    }
