"""What an environment still has in AWS, found by walking the API rather than by asking Terraform's state.

A resource belongs to the environment when its name or id says so (`<project>-<env>`, `<project>/<env>`) or when its
Environment tag does. KMS keys that wait for their deletion do not count: AWS lets no key go at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ollama_gpu.aws import Aws

Found = Iterable[tuple[str, str]]
"""Pairs of kind and id."""


def find(environment: str, project: str, aws: Aws) -> list[str]:
    """Everything of the environment that exists, as sorted ``kind id`` lines."""
    marks = (f"{project}-{environment}", f"{project}/{environment}")

    def ours(text: str) -> bool:
        return any(mark in text for mark in marks)

    found: list[str] = []
    for kind, identifier in _named(aws):
        if ours(identifier):
            found.append(f"{kind} {identifier}")
    found += [f"{kind} {identifier}" for kind, identifier in _tagged(environment, aws)]
    return sorted(set(found))


def _named(aws: Aws) -> Iterator[tuple[str, str]]:
    """Resources whose name or ARN carries the environment."""
    for kind, service, operation, key, field in _NAMED:
        for item in _items(aws, service, operation, key):
            yield kind, str(item[field] if field else item)
    for scope in ("REGIONAL",):
        answer = _client(aws, "wafv2").list_web_acls(Scope=scope)
        yield from (("web ACL", item["Name"]) for item in answer["WebACLs"])


def _tagged(environment: str, aws: Aws) -> Iterator[tuple[str, str]]:
    """EC2's resources carry ids, so their tag tells; so does a key's."""
    tags = [{"Name": "tag:Environment", "Values": [environment]}]
    for kind, operation, key, field, live in _EC2:
        for item in _items(aws, "ec2", operation, key, Filters=tags):
            if live(item):
                yield kind, str(item[field])
    kms = _client(aws, "kms")
    for item in _items(aws, "kms", "list_keys", "Keys"):
        metadata = kms.describe_key(KeyId=item["KeyId"])["KeyMetadata"]
        if metadata["KeyManager"] != "CUSTOMER" or metadata["KeyState"] == "PendingDeletion":
            continue
        answer = kms.list_resource_tags(KeyId=item["KeyId"])
        if {"TagKey": "Environment", "TagValue": environment} in answer["Tags"]:
            yield "KMS key", item["KeyId"]


def _items(aws: Aws, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    client = _client(aws, service)
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**arguments):
            yield from _reach(page, key)
    else:
        yield from _reach(getattr(client, operation)(**arguments), key)


def _reach(page: dict[str, Any], key: str) -> Iterator[Any]:
    """``a.b``: for each element of list a, the elements of its list b."""
    head, _, rest = key.partition(".")
    for item in page.get(head) or []:
        if rest:
            yield from _reach(item, rest)
        else:
            yield item


def _client(aws: Aws, service: str) -> Any:
    return aws.session.client(service, endpoint_url=aws.endpoint)  # type: ignore[call-overload]


_NAMED = (
    ("Auto Scaling group", "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    ("load balancer", "elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    ("target group", "elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    ("launch template", "ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
    ("database", "rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    ("database snapshot", "rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    ("database subnet group", "rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    ("database parameter group", "rds", "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"),
    ("cache", "elasticache", "describe_replication_groups", "ReplicationGroups", "ReplicationGroupId"),
    ("cache cluster", "elasticache", "describe_cache_clusters", "CacheClusters", "CacheClusterId"),
    ("cache subnet group", "elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups", "CacheSubnetGroupName"),
    (
        "cache parameter group",
        "elasticache",
        "describe_cache_parameter_groups",
        "CacheParameterGroups",
        "CacheParameterGroupName",
    ),
    ("bucket", "s3", "list_buckets", "Buckets", "Name"),
    ("secret", "secretsmanager", "list_secrets", "SecretList", "Name"),
    ("parameter", "ssm", "describe_parameters", "Parameters", "Name"),
    ("log group", "logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("log resource policy", "logs", "describe_resource_policies", "resourcePolicies", "policyName"),
    ("saved query", "logs", "describe_query_definitions", "queryDefinitions", "name"),
    ("alarm", "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("dashboard", "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("topic", "sns", "list_topics", "Topics", "TopicArn"),
    ("event rule", "events", "list_rules", "Rules", "Name"),
    ("backup vault", "backup", "list_backup_vaults", "BackupVaultList", "BackupVaultName"),
    ("backup plan", "backup", "list_backup_plans", "BackupPlansList", "BackupPlanName"),
    ("role", "iam", "list_roles", "Roles", "RoleName"),
    ("instance profile", "iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("policy", "iam", "list_policies", "Policies", "PolicyName"),
    ("key alias", "kms", "list_aliases", "Aliases", "AliasName"),
    ("file system", "efs", "describe_file_systems", "FileSystems", "Name"),
)


def _always(_: Any) -> bool:
    return True


def _running(item: Any) -> bool:
    return item["State"]["Name"] not in ("terminated", "shutting-down")


def _existing(item: Any) -> bool:
    return item.get("State") not in ("deleted", "deleting")


_EC2: tuple[tuple[str, str, str, str, Callable[[Any], bool]], ...] = (
    ("instance", "describe_instances", "Reservations.Instances", "InstanceId", _running),
    ("volume", "describe_volumes", "Volumes", "VolumeId", _always),
    ("VPC", "describe_vpcs", "Vpcs", "VpcId", _always),
    ("subnet", "describe_subnets", "Subnets", "SubnetId", _always),
    ("security group", "describe_security_groups", "SecurityGroups", "GroupId", _always),
    ("route table", "describe_route_tables", "RouteTables", "RouteTableId", _always),
    ("internet gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId", _always),
    ("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", _existing),
    ("address", "describe_addresses", "Addresses", "AllocationId", _always),
    ("endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", _existing),
    ("network interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", _always),
    ("flow log", "describe_flow_logs", "FlowLogs", "FlowLogId", _always),
)
