locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # A bucket's name is unique in the whole world: account and region make it so, and a person can still read it.
  bucket_suffix = "${local.account_id}-${var.region}"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}
