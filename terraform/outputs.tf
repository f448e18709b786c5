output "artifact_bucket" {
  description = "Bucket with the releases' collections and the models; made by bootstrap."
  value       = local.artifact_bucket
}

output "backup" {
  description = "Vault, plans and roles of AWS Backup, and what it protects by part: database, files (EFS), models (the artifact bucket), uploads."
  value = {
    backup_role_arn           = module.backup.role_arns.backup
    plan_id                   = module.backup.plan_id
    resources                 = merge(module.data.backup_resource_arns, { models = local.artifact_bucket_arn })
    restore_role_arn          = module.backup.role_arns.restore
    restore_testing_plan_name = module.backup.restore_testing_plan_name
    vault_arn                 = module.backup.vault_arn
    vault_name                = module.backup.vault_name
  }
}

output "cache_replication_group_id" {
  description = "ElastiCache replication group; the driver gives it its token."
  value       = module.data.identifiers.cache_replication_group_id
}

output "certificate_arn" {
  description = "Certificate of the front door."
  value       = module.edge.certificate_arn
}

output "dashboard" {
  description = "CloudWatch dashboard: name and address."
  value = {
    name = module.observability.dashboard_name
    url  = module.observability.dashboard_url
  }
}

output "endpoints" {
  description = "Where an instance finds database, cache, uploads and model files."
  value       = module.data.endpoints
}

output "fleets" {
  description = "Per fleet: Auto Scaling group, launch template, role, and which zone offers which instance types."
  value = { for key, fleet in module.fleet : key => {
    group_arn       = fleet.group_arn
    group_name      = fleet.group_name
    launch_template = fleet.launch_template
    instance_types  = fleet.instance_types
    role_arn        = fleet.role_arn
  } }
}

output "image_id" {
  description = "AMI of the newest launch template version."
  value       = local.image_id
}

output "key_arns" {
  description = "Customer managed keys: compute (EBS), data (stores, secrets), logs (log groups, topic)."
  value       = module.data.key_arns
}

output "load_balancer" {
  description = "The Application Load Balancer; point your DNS at dns_name when edge.domain is not used."
  value       = module.edge.load_balancer
}

output "log_groups" {
  description = "CloudWatch log groups."
  value       = local.log_groups
}

output "network" {
  description = "VPC, subnets by kind, zones, addresses of the NAT gateways, and security groups."
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
  description = "SSM parameters that instances read."
  value       = local.parameters
}

output "region" {
  description = "AWS region."
  value       = var.region
}

output "release" {
  description = "Release that this state was applied from."
  value       = var.release
}

output "rollout" {
  description = "How the driver rolls instances to a new launch template version, and the alarms per fleet that turn it round."
  value       = merge(var.rollout, { alarm_names = module.observability.rollout_alarm_names })
}

output "secret_arns" {
  description = "Secrets in Secrets Manager. Their values are in no output and no state."
  value       = module.data.secret_arns
}

output "target_group_arns" {
  description = "Target group of each fleet."
  value       = { for key, group in module.edge.target_groups : key => group.arn }
}

output "topic_arn" {
  description = "SNS topic of every notification."
  value       = module.observability.topic_arn
}

output "url" {
  description = "Address of Open WebUI for its users."
  value       = module.edge.url
}

output "web_acl_arn" {
  description = "WAF web ACL in front of the load balancer."
  value       = module.edge.web_acl_arn
}
