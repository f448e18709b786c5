locals {
  contract = yamldecode(file("${path.module}/../../../../../contract/instance.yaml"))
}

module "edge" {
  source = "../.."

  access_log_bucket   = "ollama-gpu-demo-logs"
  deletion_protection = true
  health_path         = local.contract.health.instance
  name                = "ollama-gpu-demo"
  port                = local.contract.ports.front_door
  routes              = { interactive = null }
  security_group_id   = "sg-edge"
  subnet_ids          = ["subnet-public-a", "subnet-public-b"]
  vpc_id              = "vpc-1"
  waf_log_group       = replace(local.contract.log_groups.waf, "{environment}", "demo")
  waf_log_key_arn     = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"

  settings = {
    certificate_arn           = null
    domain                    = { name = "chat.example.org", zone = "example.org" }
    health_check_interval     = 5
    health_check_timeout      = 4
    healthy_threshold         = 2
    idle_timeout              = 360
    internal                  = false
    public_name               = null
    requests_per_five_minutes = 10000
    stickiness                = 86400
    unhealthy_threshold       = 3
  }
}
