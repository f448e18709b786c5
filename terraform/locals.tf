locals {
  contract = yamldecode(file("${path.module}/../contract/instance.yaml"))
  name     = "${local.contract.project}-${var.environment}"

  tags = merge(var.tags, {
    (local.contract.tags.project)     = local.contract.project
    (local.contract.tags.environment) = var.environment
    (local.contract.tags.managed_by)  = "Terraform"
    (local.contract.tags.release)     = var.release
  })

  # The names in the contract, with the placeholders replaced.
  log_groups = { for key, name in local.contract.log_groups : key => replace(name, "{environment}", var.environment) }
  parameters = { for key, name in local.contract.parameters : key => replace(name, "{environment}", var.environment) }
  secrets    = { for key, name in local.contract.secrets : key => replace(name, "{environment}", var.environment) }
  artifact_bucket = replace(replace(local.contract.artifacts.bucket,
  "{account}", data.aws_caller_identity.current.account_id), "{region}", var.region)

  artifact_bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${local.artifact_bucket}"

  # The batch fleet consists of spot instances only, so it does not exist without spot.
  fleets = { for key, fleet in var.fleets : key => fleet if key == "interactive" || var.spot_enabled }
  # The vault's alarms need its name, and the vault needs the topic of the alarms.
  backup_vault_name = "${local.name}-vault"
  # Fleet and alarms both need the name of the group. Passing it from one module to the other would create a cycle.
  group_names = { for key in keys(local.fleets) : key => "${local.name}-${key}" }

  # Sign-on is a variable of the role open_webui. A change creates a new launch template version and is rolled out like
  # one.
  instance = {
    endpoint_url = var.instance.endpoint_url
    variables    = merge(var.instance.variables, { for name, value in { open_webui_sign_on = var.sign_on } : name => value if value != null })
  }

  # Null for a class that is not in the table.
  database_connections = try(yamldecode(file("${path.module}/database_classes.yaml"))[var.data.database_instance_class], null)

  # The storage alarm fires below half of the free space at which RDS enlarges the volume (10 %), so only if that has failed.
  alarms = merge(var.alarms, {
    database_connections      = coalesce(var.alarms.database_connections, try(floor(0.8 * local.database_connections), null), 800)
    database_free_storage_gib = coalesce(var.alarms.database_free_storage_gib, var.data.database_storage_gib / 20)
  })

  image_id = var.image_id != null ? var.image_id : nonsensitive(data.aws_ssm_parameter.image[0].value)
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_ssm_parameter" "image" {
  count = var.image_id == null ? 1 : 0

  name = local.parameters.image
}
