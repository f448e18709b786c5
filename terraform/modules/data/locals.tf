locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # Bucket names are globally unique. Account and region make the name unique and keep it readable.
  bucket_suffix = "${local.account_id}-${var.region}"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
