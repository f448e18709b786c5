"""The instance's identity, as the agent gets it: the ID from the metadata service, the group from the tags."""

from __future__ import annotations

import os
import urllib.request
from typing import Any

GROUP_TAG = "aws:autoscaling:groupName"
TIMEOUT_SECONDS = 3


def instance_id() -> str:
    """Return the instance ID from the metadata service (IMDSv2) at botocore's address. Raises OSError."""
    service = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ask = urllib.request.Request(  # noqa: S310
        f"{service}/latest/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with opener.open(ask, timeout=TIMEOUT_SECONDS) as answer:
        token = answer.read().decode()
    ask = urllib.request.Request(  # noqa: S310
        f"{service}/latest/meta-data/instance-id", headers={"X-aws-ec2-metadata-token": token}
    )
    with opener.open(ask, timeout=TIMEOUT_SECONDS) as answer:
        return str(answer.read().decode().strip())


def dimensions(instance: str, ec2: Any) -> dict[str, str]:
    """Return the dimensions that the agent can append. The group is missing while the instance has none."""
    filters = [{"Name": "resource-id", "Values": [instance]}, {"Name": "key", "Values": [GROUP_TAG]}]
    tags = ec2.describe_tags(Filters=filters)["Tags"]
    group = {"AutoScalingGroupName": tags[0]["Value"]} if tags else {}
    return {"InstanceId": instance, **group}
