# The states of all environments, one key each, with their lock files. A lock is an object `<key>.tflock` that is deleted at the
# end of a run: the role that deploys needs s3:DeleteObject on *.tflock and on nothing else.

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18: contains no secret, and each run's log records access; CloudTrail data events are the account owner's decision
  #checkov:skip=CKV_AWS_144: a state describes the resources of one region and is useless without them; its versions are the backup
  #checkov:skip=CKV2_AWS_62: nothing needs to react to a changed state
  bucket        = local.state_bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      kms_master_key_id = aws_kms_key.state.arn
      sse_algorithm     = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = data.aws_iam_policy_document.only_tls["state"].json

  depends_on = [aws_s3_bucket_public_access_block.state] # S3 refuses two such changes of a bucket at the same time
}

# A corrupt state is noticed within weeks, if not on the next plan. A version is deleted when it is both older than 90 days and
# not among the newest 50, so a state that is rarely written keeps its whole history.
resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "expire-old-versions"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    expiration {
      expired_object_delete_marker = true # of locks; every run leaves one
    }
    noncurrent_version_expiration {
      newer_noncurrent_versions = 50
      noncurrent_days           = 90
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}
