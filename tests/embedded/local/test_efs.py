"""EFS: file system policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]


@pytest.fixture
def file_system(client: Client, name: str) -> str:
    identifier: str = client("efs").create_file_system(CreationToken=name, Encrypted=True)["FileSystemId"]
    return identifier


def test_file_system_policy_can_be_deleted(client: Client, file_system: str) -> None:
    efs = client("efs")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    efs.put_file_system_policy(FileSystemId=file_system, Policy=policy)
    assert efs.describe_file_system_policy(FileSystemId=file_system)["Policy"] == policy
    efs.delete_file_system_policy(FileSystemId=file_system)
    with pytest.raises(ClientError, match="PolicyNotFound"):
        efs.describe_file_system_policy(FileSystemId=file_system)


def test_deletion_of_unknown_file_systems_policy_is_rejected(client: Client) -> None:
    with pytest.raises(ClientError, match="FileSystemNotFound"):
        client("efs").delete_file_system_policy(FileSystemId="fs-00000000")
