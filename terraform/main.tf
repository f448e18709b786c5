# The root module only connects the modules. Resources are defined in the module named after them.

module "network" {
  source = "./modules/network"

  cidr                     = var.network.cidr
  client_cidrs             = var.edge.client_cidrs
  existing                 = var.network.existing
  flow_log_group           = local.log_groups.flow
  flow_log_retention_days  = var.network.flow_log_retention_days
  kms_key_arn              = module.data.key_arns.logs
  name                     = local.name
  nat_per_zone             = var.network.nat_per_zone
  permissions_boundary_arn = var.permissions_boundary_arn
  ports                    = local.contract.ports
  region                   = var.region
  ssh_cidrs                = var.network.ssh_cidrs
  zone_count               = var.network.zone_count
  zones                    = var.network.zones
}

module "data" {
  source = "./modules/data"

  access_log_days          = 90
  cache_port               = local.contract.ports.cache
  database_port            = local.contract.ports.database
  environment              = var.environment
  name                     = local.name
  permissions_boundary_arn = var.permissions_boundary_arn
  region                   = var.region
  secret_names             = local.secrets
  security_group_ids       = module.network.security_group_ids
  settings                 = var.data
  subnet_ids               = module.network.data_subnet_ids
}

module "edge" {
  source = "./modules/edge"

  access_log_bucket   = module.data.log_bucket
  deletion_protection = var.data.deletion_protection
  health_path         = local.contract.health.instance
  name                = local.name
  port                = local.contract.ports.front_door
  routes              = { for key, fleet in local.fleets : key => fleet.routing }
  security_group_id   = module.network.security_group_ids.edge
  settings            = var.edge
  subnet_ids          = var.edge.internal ? module.network.private_subnet_ids : module.network.public_subnet_ids
  vpc_id              = module.network.vpc_id
  waf_log_group       = local.log_groups.waf
  waf_log_key_arn     = module.data.key_arns.logs
}

module "fleet" {
  source   = "./modules/fleet"
  for_each = local.fleets

  all_spot                 = each.key != "interactive"
  artifact_bucket          = local.artifact_bucket
  collection_sha256        = var.collection_sha256
  contract                 = local.contract
  environment              = var.environment
  image_id                 = local.image_id
  instance                 = local.instance
  key                      = each.key
  key_arns                 = module.data.key_arns
  log_group_arns           = module.observability.log_group_arns
  master_secret_arn        = module.data.endpoints.database.master_secret_arn
  name                     = local.group_names[each.key]
  parameters               = local.parameters
  permissions_boundary_arn = var.permissions_boundary_arn
  region                   = var.region
  release                  = var.release
  secret_arns              = module.data.secret_arns
  security_group_id        = module.network.security_group_ids.instance
  settings                 = each.value
  subnet_ids               = module.network.private_subnet_ids
  tags                     = local.tags
  target_group             = module.edge.target_groups[each.key]
  uploads_bucket           = module.data.uploads_bucket
  files                    = module.data.files
  zones                    = module.network.zones
}

module "backup" {
  source = "./modules/backup"

  copy_vault_arn           = var.data.backup_copy_vault_arn
  database_settings        = module.data.database_settings
  force_destroy            = !var.data.deletion_protection
  kms_key_arn              = module.data.key_arns.data
  name                     = local.name
  permissions_boundary_arn = var.permissions_boundary_arn
  resource_arns            = values(module.data.backup_resource_arns)
  restore_testing          = var.data.restore_testing
  retention_days           = var.data.backup_retention_days
  snapshot_only_arns       = [local.artifact_bucket_arn]
  topic_arn                = module.observability.topic_arn
  vault_name               = local.backup_vault_name
}

module "observability" {
  source = "./modules/observability"

  backup_vault_name = local.backup_vault_name
  contract          = local.contract
  data              = module.data.identifiers
  environment       = var.environment
  fleets            = { for key, fleet in local.fleets : key => { group_name = local.group_names[key], max_size = fleet.max_size } }
  kms_key_arn       = module.data.key_arns.logs
  load_balancer     = module.edge.load_balancer
  log_groups        = { for key, name in local.log_groups : key => name if contains(["instance", "gateway", "events"], key) }
  name              = local.name
  region            = var.region
  settings          = local.alarms
  target_groups     = module.edge.target_groups
}

# What Terraform passes to an instance: names and endpoints, never a secret.
resource "aws_ssm_parameter" "fabric" {
  #checkov:skip=CKV_AWS_337: contains only endpoints and names; secrets are in Secrets Manager under a customer managed key
  #checkov:skip=CKV2_AWS_34: same reason; and a String can be read when a boot is debugged
  name        = local.parameters.fabric
  description = "Endpoints and names that an instance of ${local.name} needs at boot"
  type        = "String"
  tier        = "Intelligent-Tiering" # above 4 KiB, it becomes an advanced parameter automatically
  value = jsonencode(merge(module.data.endpoints, {
    environment = var.environment
    region      = var.region
    url         = module.edge.url
    secrets     = local.secrets
    log_groups  = local.log_groups
    artifacts   = local.artifact_bucket
  }))
}
