locals {
  contract = yamldecode(file("${path.module}/../../../../../contract/instance.yaml"))
}

module "fleet" {
  source = "../.."

  all_spot          = false
  artifact_bucket   = "ollama-gpu-demo-artifacts"
  collection_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  contract          = local.contract
  environment       = "demo"
  image_id          = "ami-0123456789abcdef0"
  key               = "interactive"
  name              = "ollama-gpu-demo-interactive"
  parameters        = { for key, name in local.contract.parameters : key => replace(name, "{environment}", "demo") }
  region            = "us-east-1"
  release           = "demo"
  security_group_id = "sg-instance"
  subnet_ids        = ["subnet-private-a", "subnet-private-b"]
  tags              = { Environment = "demo" }
  zones             = ["us-east-1a", "us-east-1b"]

  files             = { access_point_id = "fsap-1", file_system_arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", file_system_id = "fs-1" }
  key_arns          = { compute = "arn:aws:kms:us-east-1:123456789012:key/compute", data = "arn:aws:kms:us-east-1:123456789012:key/data" }
  log_group_arns    = { gateway = "arn:aws:logs:us-east-1:123456789012:log-group:gateway", instance = "arn:aws:logs:us-east-1:123456789012:log-group:instance" }
  master_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1-abcdef"
  secret_arns       = { database = "arn:aws:secretsmanager:us-east-1:123456789012:secret:database-abcdef" }
  target_group      = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/demo/1", arn_suffix = "targetgroup/demo/1", request_label = "app/demo/2/targetgroup/demo/1" }
  uploads_bucket    = { arn = "arn:aws:s3:::ollama-gpu-demo-uploads" }

  settings = {
    desired_size        = null
    drain_seconds       = 110
    instance_types      = ["g5.xlarge", "g4dn.xlarge"]
    launch_wait_seconds = 1800
    max_lifetime_days   = 30
    max_size            = 4
    min_size            = 2
    on_demand_base      = 2
    root_volume         = { iops = 6000, size_gib = 200, throughput_mibs = 500 }
    scaling             = { cpu_percent = 60, inference_load_percent = 70, requests_per_target_per_minute = 600, warmup_seconds = 300 }
    schedule            = {}
    spot_percentage     = 0
  }
}
