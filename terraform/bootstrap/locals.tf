locals {
  contract   = yamldecode(file("${path.module}/../../contract/instance.yaml"))
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  artifact_bucket = replace(replace(local.contract.artifacts.bucket, "{account}", local.account_id), "{region}", var.region)
  state_bucket    = replace(replace(local.contract.state.bucket, "{account}", local.account_id), "{region}", var.region)
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
