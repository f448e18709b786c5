locals {
  contract = yamldecode(file("${path.module}/../../../../../contract/instance.yaml"))
}

module "data" {
  source = "../.."

  access_log_days = 90
  cache_port      = local.contract.ports.cache
  database_port   = local.contract.ports.database
  environment     = "demo"
  name            = "ollama-gpu-demo"
  region          = "us-east-1"
  secret_names    = { for key, name in local.contract.secrets : key => replace(name, "{environment}", "demo") }

  security_group_ids = { cache = "sg-cache", database = "sg-database", files = "sg-files" }
  subnet_ids         = ["subnet-a", "subnet-b"]

  settings = {
    backup_copy_vault_arn          = null
    backup_retention_days          = 35
    cache_node_type                = "cache.r7g.large"
    cache_replicas                 = 1
    database_instance_class        = "db.r6g.xlarge"
    database_max_storage_gib       = 1000
    database_storage_gib           = 100
    deletion_protection            = true
    uploads_expire_noncurrent_days = 90
  }
}
