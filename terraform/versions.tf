terraform {
  # 1.11: write-only arguments, and S3 state locking without DynamoDB
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6.0"
    }
  }

  # Bucket, key, and region come from environments/<env>.backend.hcl and the driver: one state per environment.
  # No `encrypt`: without a key ARN it requests SSE-S3 and so overrides the bucket's own key (see bootstrap/).
  backend "s3" {
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }
}
