output "artifact_bucket" {
  description = "Bucket that holds the collections of releases and the models. The bootstrap module creates it."
  value       = local.artifact_bucket
}

output "backup" {
  description = "Vault, plans, and roles of AWS Backup, the settings of a restored database, and the ARN of each protected resource: database, files (EFS), models (the artifact bucket), uploads."
  value = {
    backup_role_arn           = module.backup.role_arns.backup
    database_settings         = module.data.database_settings
    plan_id                   = module.backup.plan_id
    resources                 = merge(module.data.backup_resource_arns, { models = local.artifact_bucket_arn })
    restore_role_arn          = module.backup.role_arns.restore
    restore_testing_plan_name = module.backup.restore_testing_plan_name
    vault_arn                 = module.backup.vault_arn
    vault_name                = module.backup.vault_name
  }
}

output "cache_replication_group_id" {
  description = "ID of the ElastiCache replication group. The driver sets its AUTH token."
  value       = module.data.identifiers.cache_replication_group_id
}

output "certificate_arn" {
  description = "ARN of the front door's certificate."
  value       = module.edge.certificate_arn
}

output "dashboard" {
  description = "Name and URL of the CloudWatch dashboard."
  value = {
    name = module.observability.dashboard_name
    url  = module.observability.dashboard_url
  }
}

output "endpoints" {
  description = "Endpoints of the database, cache, uploads, and model files."
  value       = module.data.endpoints
}

output "fleets" {
  description = "For each fleet: Auto Scaling group, launch template, role, and the instance types that each zone offers."
  value = { for key, fleet in module.fleet : key => {
    group_arn       = fleet.group_arn
    group_name      = fleet.group_name
    launch_template = fleet.launch_template
    instance_types  = fleet.instance_types
    role_arn        = fleet.role_arn
  } }
}

output "image_id" {
  description = "AMI ID of the newest launch template version."
  value       = local.image_id
}

output "key_arns" {
  description = "ARNs of the customer managed keys: compute (EBS), data (stores, secrets), logs (log groups, topic)."
  value       = module.data.key_arns
}

output "load_balancer" {
  description = "The Application Load Balancer. If you don't use edge.domain, point your DNS at dns_name."
  value       = module.edge.load_balancer
}

output "log_groups" {
  description = "Names of the CloudWatch log groups."
  value       = local.log_groups
}

output "network" {
  description = "VPC, subnets by kind, zones, public addresses of the NAT gateways, and security groups."
  value = {
    data_subnet_ids    = module.network.data_subnet_ids
    nat_public_ips     = module.network.nat_public_ips
    private_subnet_ids = module.network.private_subnet_ids
    public_subnet_ids  = module.network.public_subnet_ids
    security_group_ids = module.network.security_group_ids
    vpc_id             = module.network.vpc_id
    zones              = module.network.zones
  }
}

output "parameters" {
  description = "Names of the SSM parameters that instances read."
  value       = local.parameters
}

output "region" {
  description = "AWS region."
  value       = var.region
}

output "release" {
  description = "Identifier of the release that this state was applied from."
  value       = var.release
}

output "rollout" {
  description = "How the driver rolls out a new launch template version, and for each fleet the alarms that trigger a rollback."
  value       = merge(var.rollout, { alarm_names = module.observability.rollout_alarm_names })
}

output "secret_arns" {
  description = "ARNs of the secrets in Secrets Manager. Their values are in no output and in no state."
  value       = module.data.secret_arns
}

output "target_group_arns" {
  description = "ARN of each fleet's target group."
  value       = { for key, group in module.edge.target_groups : key => group.arn }
}

output "topic_arn" {
  description = "ARN of the SNS topic for all notifications."
  value       = module.observability.topic_arn
}

output "url" {
  description = "URL of Open WebUI for its users."
  value       = module.edge.url
}

output "web_acl_arn" {
  description = "ARN of the WAF web ACL in front of the load balancer."
  value       = module.edge.web_acl_arn
}
