"""Which resource types cost money: one that is in no list has been forgotten by the cost estimate."""

from __future__ import annotations

from collections.abc import Iterable

from ollama_gpu.planning import resources

FREE = {
    *("aws_acm_certificate", "aws_acm_certificate_validation", "aws_route53_record"),
    *("aws_autoscaling_lifecycle_hook", "aws_autoscaling_schedule", "aws_launch_template"),
    *("aws_backup_plan", "aws_backup_restore_testing_plan", "aws_backup_selection", "aws_backup_vault"),
    *("aws_backup_vault_lock_configuration", "aws_backup_vault_notifications", "aws_backup_vault_policy"),
    "aws_budgets_budget",  # AWS charges only budgets with actions; this one sends e-mails
    *("aws_cloudwatch_event_rule", "aws_cloudwatch_event_target", "aws_cloudwatch_log_resource_policy"),
    *("aws_cloudwatch_query_definition", "aws_sns_topic", "aws_sns_topic_policy", "aws_sns_topic_subscription"),
    *("aws_db_parameter_group", "aws_db_subnet_group", "aws_elasticache_parameter_group"),
    *("aws_elasticache_subnet_group", "aws_efs_access_point", "aws_efs_file_system_policy", "aws_efs_mount_target"),
    *("aws_iam_instance_profile", "aws_iam_role", "aws_iam_role_policy", "aws_iam_role_policy_attachment"),
    *("aws_kms_alias", "aws_ssm_parameter", "terraform_data"),
    *("aws_lb_listener", "aws_lb_listener_rule", "aws_lb_target_group"),
    *("aws_default_security_group", "aws_internet_gateway", "aws_route", "aws_route_table"),
    *("aws_route_table_association", "aws_security_group", "aws_subnet", "aws_vpc"),
    *("aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"),
    *("aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_logging", "aws_s3_bucket_notification"),
    *("aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy", "aws_s3_bucket_public_access_block"),
    *("aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning"),
    *("aws_wafv2_web_acl_association", "aws_wafv2_web_acl_logging_configuration"),
}
"""Free by themselves; use is in the lines of their service."""

BY_USE = {"aws_cloudwatch_log_group", "aws_efs_file_system", "aws_flow_log", "aws_s3_bucket"}
"""Paid by what they take in or store: planning/usage.yaml."""


def unknown(types: Iterable[str]) -> list[str]:
    """The resource types that the estimate neither prices nor knows to be free."""
    return sorted(set(types) - resources.PRICED - FREE - BY_USE)
