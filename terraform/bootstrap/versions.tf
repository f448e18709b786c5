# Applied once per account and region by `ollama-gpu bootstrap`. It creates the bucket that holds its own state: the first apply
# keeps the state on disk, and afterwards the state moves into the bucket.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6.0"
    }
  }

  # Bucket, key, and region come from -backend-config. No `encrypt`: without a key ARN it requests SSE-S3 and so overrides the
  # bucket's own key, which encrypts everything that requests no other encryption.
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
