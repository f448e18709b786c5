# Applied once per account and region, by `ollama-gpu bootstrap`. It makes the bucket that holds its own state: the first
# apply keeps the state on disk, after which it moves into the bucket.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6.0"
    }
  }

  # Bucket, key and region come by -backend-config. No `encrypt`: without a key's ARN beside it, it asks S3 for SSE-S3 and so
  # turns down the bucket's own key, under which everything is encrypted when nothing is asked for.
  backend "s3" {
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge(var.tags, {
      (local.contract.tags.project)     = local.contract.project
      (local.contract.tags.environment) = "shared"
      (local.contract.tags.managed_by)  = "Terraform"
      (local.contract.tags.release)     = "bootstrap"
    })
  }
}
