# Base values of the fleet; each test in this folder changes one of them.

all_spot          = false
artifact_bucket   = "artifacts"
collection_sha256 = "c0ffee"
contract = {
  artifacts       = { collection = "collections/{collection_sha256}.tar.gz", models = "models/{environment}/{file}" }
  boot            = { description = "/etc/instance.json", program = "/usr/local/sbin/boot" }
  lifecycle_hooks = { launch = "ready", terminate = "drained" }
  metrics = {
    namespace = "OllamaGPU"
    names = {
      InFlight = { dimensions = [["AutoScalingGroupName"]] }
      Queued   = { dimensions = [["AutoScalingGroupName"]] }
      Slots    = { dimensions = [["AutoScalingGroupName"]] }
    }
  }
  tags = { fleet = "Fleet", release = "Release" }
}
environment       = "test"
files             = { access_point_id = "fsap-1", file_system_arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", file_system_id = "fs-1" }
image_id          = "ami-0123456789abcdef0"
key               = "interactive"
key_arns          = { compute = "arn:aws:kms:us-east-1:123456789012:key/compute", data = "arn:aws:kms:us-east-1:123456789012:key/data" }
log_group_arns    = { gateway = "arn:aws:logs:us-east-1:123456789012:log-group:gateway", instance = "arn:aws:logs:us-east-1:123456789012:log-group:instance" }
master_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1-abcdef"
name              = "test-interactive"
parameters        = { fabric = "/test/fabric", image = "/test/image", models = "/test/models" }
region            = "us-east-1"
release           = "r1"
secret_arns       = { database = "arn:aws:secretsmanager:us-east-1:123456789012:secret:database-abcdef" }
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
security_group_id = "sg-1"
subnet_ids        = ["subnet-a", "subnet-b", "subnet-c"]
tags              = { Environment = "test", Release = "r1" }
target_group      = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/test/1", arn_suffix = "targetgroup/test/1", request_label = "app/test/2/targetgroup/test/1" }
uploads_bucket    = { arn = "arn:aws:s3:::uploads" }
zones             = ["us-east-1a", "us-east-1b", "us-east-1c"]
