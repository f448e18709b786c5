"""EFS: policies that can be put, read and taken away."""

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


@pytest.mark.parametrize("status", ["ENABLED", "DISABLED"])
def test_a_backup_policy_round_trips(client: Client, file_system: str, status: str) -> None:
    client("efs").put_backup_policy(FileSystemId=file_system, BackupPolicy={"Status": status})
    assert client("efs").describe_backup_policy(FileSystemId=file_system)["BackupPolicy"] == {"Status": status}


def test_a_file_system_policy_can_be_deleted(client: Client, file_system: str) -> None:
    efs = client("efs")
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    efs.put_file_system_policy(FileSystemId=file_system, Policy=policy)
    assert efs.describe_file_system_policy(FileSystemId=file_system)["Policy"] == policy
    efs.delete_file_system_policy(FileSystemId=file_system)
    with pytest.raises(ClientError, match="PolicyNotFound"):
        efs.describe_file_system_policy(FileSystemId=file_system)


def test_a_policy_of_a_file_system_that_is_not_there_is_refused(client: Client) -> None:
    with pytest.raises(ClientError, match="FileSystemNotFound"):
        client("efs").put_backup_policy(FileSystemId="fs-00000000", BackupPolicy={"Status": "ENABLED"})
