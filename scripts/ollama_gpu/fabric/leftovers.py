"""Find the resources that an environment still has in AWS, by listing them in AWS instead of in Terraform's state.

A resource belongs to the environment if its name or ARN contains `<project>-<env>` or `<project>/<env>`, or if its
tags match. KMS keys that are pending deletion do not count: AWS deletes keys only after a waiting period. The database
of a restore test has a random name. It is the environment's if it is in the environment's subnets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of
from ollama_gpu.core.console import note
from ollama_gpu.environment.context import Context


def find(context: Context) -> list[str]:
    """The environment's existing resources, as sorted ``kind id`` lines."""
    project = context.contract.project
    named = [*_named(context.aws), *_budgets(context.aws)]
    others = environments_in((identifier for _, identifier in named), project)
    found = {pair for pair in named if belongs(pair[1], context.environment.name, project, others)}
    found.update(
        ("restore test", name)
        for name, subnets in _restore_tests(context.aws)
        if belongs(subnets, context.environment.name, project, others)
    )
    found.update(_tagged(context.contract.identifying_tags(context.environment.name), context.aws))
    return sorted(f"{kind} {identifier}" for kind, identifier in found)


def belongs(identifier: str, environment: str, project: str, others: Collection[str] = ()) -> bool:
    """Whether a name or an ARN belongs to the environment.

    ``others`` are the account's environments. A dash can end an environment's name or be part of it, so
    `<project>-prod-eu-x` belongs to `prod` unless an environment `prod-eu` exists.
    """
    longer = [other for other in others if other.startswith(f"{environment}-")]
    return _carries(identifier, environment, project) and not any(
        _carries(identifier, other, project) for other in longer
    )


def environments_in(identifiers: Iterable[str], project: str) -> set[str]:
    """The environments in the names of parameters, secrets and log groups, where a slash always ends the name."""
    between_slashes = re.compile(rf"(?:^|/){re.escape(project)}/([a-z][a-z0-9-]*)/")
    return {found[1] for identifier in identifiers if (found := between_slashes.search(identifier))}


def _carries(identifier: str, environment: str, project: str) -> bool:
    # Names of AWS Backup's restore testing plans cannot contain dashes; they have underscores instead.
    first, second = (re.escape(part).replace(r"\-", "[-_]") for part in (project, environment))
    return re.search(rf"(?<![a-z0-9]){first}[-_/]{second}(?![a-z0-9])", identifier) is not None


def _named(aws: Aws) -> Iterator[tuple[str, str]]:
    """Resources whose name or ARN contains the environment."""
    for kind, service, operation, key, field in _NAMED:
        for item in _items(aws, service, operation, key, **_NARROWED.get(operation, {})):
            if item.get(field):  # a file system's name is an optional tag
                yield kind, str(item[field])


def _budgets(aws: Aws) -> Iterator[tuple[str, str]]:
    """Budgets. Separate from the other lists, because the API requires the account ID."""
    for item in _items(aws, "budgets", "describe_budgets", "Budgets", AccountId=aws.identity.account):
        yield "budget", str(item["BudgetName"])


def _restore_tests(aws: Aws) -> Iterator[tuple[str, str]]:
    """The databases of AWS Backup's restore tests, and their subnet groups. AWS deletes them hours after the test."""
    for item in _items(aws, "rds", "describe_db_instances", "DBInstances"):
        if item["DBInstanceIdentifier"].startswith(_RESTORE_TEST):
            yield item["DBInstanceIdentifier"], str(item.get("DBSubnetGroup", {}).get("DBSubnetGroupName", ""))


def _tagged(tags: Mapping[str, str], aws: Aws) -> Iterator[tuple[str, str]]:
    """Resources whose name is an ID or a domain, found by their tags.

    ``tags`` must include both `Project` and `Environment`: other products in the account use `Environment` too.
    """
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
    for kind, operation, key, field, live in _EC2:
        for item in _items(aws, "ec2", operation, key, Filters=filters):
            if live(item):
                yield kind, str(item[field])
    yield from _keys(tags, aws)
    acm = aws.client("acm")
    for item in _items(aws, "acm", "list_certificates", "CertificateSummaryList"):
        theirs = acm.list_tags_for_certificate(CertificateArn=item["CertificateArn"])["Tags"]
        if tags.items() <= {tag["Key"]: tag.get("Value") for tag in theirs}.items():
            yield "certificate", item["CertificateArn"]


def _keys(tags: Mapping[str, str], aws: Aws) -> Iterator[tuple[str, str]]:
    """Customer managed keys with the tags. A key whose policy does not delegate to IAM cannot be read by others."""
    kms, unreadable = aws.client("kms"), []
    for item in _items(aws, "kms", "list_keys", "Keys"):
        try:
            metadata = kms.describe_key(KeyId=item["KeyId"])["KeyMetadata"]
            if metadata["KeyManager"] != "CUSTOMER" or metadata["KeyState"] == "PendingDeletion":
                continue
            theirs = kms.list_resource_tags(KeyId=item["KeyId"])["Tags"]
        except ClientError as error:
            if code_of(error) not in ("AccessDenied", "AccessDeniedException"):
                raise
            unreadable.append(item["KeyId"])
            continue
        if tags.items() <= {tag["TagKey"]: tag["TagValue"] for tag in theirs}.items():
            yield "KMS key", item["KeyId"]
    if unreadable:
        note(f"leftovers: not allowed to read these KMS keys, so they are left out: {', '.join(unreadable)}")


def _items(aws: Aws, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    client = aws.client(service)
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**arguments):
            yield from _reach(page, key)
    else:
        yield from _reach(getattr(client, operation)(**arguments), key)


def _reach(page: dict[str, Any], key: str) -> Iterator[Any]:
    """The elements at a path. ``a.b`` means: for each element of list ``a``, the elements of its list ``b``."""
    head, _, rest = key.partition(".")
    for item in page.get(head) or []:
        if rest:
            yield from _reach(item, rest)
        else:
            yield item


_RESTORE_TEST = "awsbackup-restore-test"
"""The beginning of the name of every resource that a restore test makes."""

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
    ("cache snapshot", "elasticache", "describe_snapshots", "Snapshots", "SnapshotName"),
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
    ("composite alarm", "cloudwatch", "describe_alarms", "CompositeAlarms", "AlarmName"),
    ("dashboard", "cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("topic", "sns", "list_topics", "Topics", "TopicArn"),
    ("event rule", "events", "list_rules", "Rules", "Name"),
    ("backup vault", "backup", "list_backup_vaults", "BackupVaultList", "BackupVaultName"),
    ("backup plan", "backup", "list_backup_plans", "BackupPlansList", "BackupPlanName"),
    ("restore testing plan", "backup", "list_restore_testing_plans", "RestoreTestingPlans", "RestoreTestingPlanName"),
    ("web ACL", "wafv2", "list_web_acls", "WebACLs", "Name"),
    ("role", "iam", "list_roles", "Roles", "RoleName"),
    ("instance profile", "iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("policy", "iam", "list_policies", "Policies", "PolicyName"),
    ("key alias", "kms", "list_aliases", "Aliases", "AliasName"),
    ("file system", "efs", "describe_file_systems", "FileSystems", "Name"),
)

_NARROWED: dict[str, dict[str, Any]] = {
    "describe_alarms": {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]},  # by default AWS returns metric alarms only
    "list_policies": {"Scope": "Local"},  # leaves out more than a thousand AWS managed policies
    "list_web_acls": {"Scope": "REGIONAL"},
}


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
