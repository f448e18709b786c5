# Releases (each release's collection, with which instances converge, and its record) and model files.

resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_18: holds public software and models that are verified by digest wherever they are used
  #checkov:skip=CKV_AWS_144: can be rebuilt from the repository at any commit
  #checkov:skip=CKV_AWS_145: nothing in it is secret, and every instance in every environment reads it, so all of them would need access to a separate key
  bucket        = local.artifact_bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256" # see CKV_AWS_145 above
    }
  }
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  policy = data.aws_iam_policy_document.only_tls["artifacts"].json

  depends_on = [aws_s3_bucket_public_access_block.artifacts] # S3 refuses two such changes of a bucket at the same time
}

# The environments' backups track this bucket through EventBridge and would otherwise enable this outside Terraform.
resource "aws_s3_bucket_notification" "artifacts" {
  bucket      = aws_s3_bucket.artifacts.id
  eventbridge = true
}

# Current objects are kept: you can roll back to a release as long as its collection exists.
resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    id     = "expire-old-versions"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    expiration {
      expired_object_delete_marker = true
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }

  depends_on = [aws_s3_bucket_versioning.artifacts]
}
