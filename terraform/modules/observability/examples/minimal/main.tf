locals {
  contract = yamldecode(file("${path.module}/../../../../../contract/instance.yaml"))
}

module "observability" {
  source = "../.."

  backup_vault_name = "ollama-gpu-demo-vault"
  contract          = local.contract
  environment       = "demo"
  kms_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  name              = "ollama-gpu-demo"
  region            = "us-east-1"

  data          = { cache_cluster_ids = ["ollama-gpu-demo-cache-001"], database_id = "ollama-gpu-demo-database", file_system_id = "fs-1" }
  fleets        = { interactive = { group_name = "ollama-gpu-demo-interactive", max_size = 4 } }
  load_balancer = { arn_suffix = "app/ollama-gpu-demo/1" }
  target_groups = { interactive = { arn_suffix = "targetgroup/ollama-gpu-demo/1" } }
  log_groups = { for key in ["events", "gateway", "instance"] :
  key => replace(local.contract.log_groups[key], "{environment}", "demo") }

  settings = {
    database_connections            = 800
    database_free_storage_gib       = 20
    emails                          = ["ops@example.org"]
    error_percent                   = 2
    gpu_memory_percent              = 95
    gpu_temperature_celsius         = 85
    gpu_utilization_percent         = 95
    notification_requires_composite = false
    queued_per_instance             = 8
    request_latency_p95_ms          = 2000
    time_to_first_token_p95_ms      = 2000
  }
}
