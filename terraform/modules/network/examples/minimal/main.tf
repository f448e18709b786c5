locals {
  contract = yamldecode(file("${path.module}/../../../../../contract/instance.yaml"))
}

module "network" {
  source = "../.."

  cidr                    = "10.40.0.0/16"
  client_cidrs            = ["203.0.113.0/24"]
  flow_log_group          = replace(local.contract.log_groups.flow, "{environment}", "demo")
  flow_log_retention_days = 90
  kms_key_arn             = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  name                    = "ollama-gpu-demo"
  nat_per_zone            = true
  ports                   = local.contract.ports
  region                  = "us-east-1"
  ssh_cidrs               = []
  zone_count              = 3
  zones                   = []
}
