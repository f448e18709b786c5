# Access logs of the load balancer and of the uploads bucket.

locals {
  uploads_log_prefix = "s3/uploads/"
}

resource "aws_s3_bucket" "logs" {
  #checkov:skip=CKV_AWS_18: a bucket that logs to itself would log its own log writes endlessly
  #checkov:skip=CKV_AWS_144: access logs expire after some weeks; losing them with the region loses no user data
  #checkov:skip=CKV_AWS_145: Elastic Load Balancing cannot write under a customer managed key, only under SSE-S3
  #checkov:skip=CKV2_AWS_62: nothing needs to react to a new log file
  bucket        = "${var.name}-logs-${local.bucket_suffix}"
  force_destroy = !var.settings.deletion_protection
}

resource "aws_s3_bucket_versioning" "logs" {
  bucket = aws_s3_bucket.logs.id

  versioning_configuration {
    status = "Enabled" # an overwritten or deleted log can be recovered until it expires
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256" # see CKV_AWS_145 above
    }
  }
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket = aws_s3_bucket.logs.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

data "aws_iam_policy_document" "logs" {
  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.logs.arn, "${aws_s3_bucket.logs.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    # The service principal works in every region. Older examples name an account per region, but the regions that were added
    # since August 2022 have no such account.
    sid     = "LoadBalancersWrite"
    actions = ["s3:PutObject"]
    resources = [ # with and without a prefix
      "${aws_s3_bucket.logs.arn}/AWSLogs/${local.account_id}/*",
      "${aws_s3_bucket.logs.arn}/*/AWSLogs/${local.account_id}/*",
    ]

    principals {
      type        = "Service"
      identifiers = ["logdelivery.elasticloadbalancing.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account_id}:loadbalancer/*"]
    }
  }

  statement {
    sid       = "UploadsBucketLogs"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/${local.uploads_log_prefix}*"]

    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.uploads.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = data.aws_iam_policy_document.logs.json

  depends_on = [aws_s3_bucket_public_access_block.logs] # S3 refuses two such changes of a bucket at the same time
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    expiration {
      days = var.access_log_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.logs]
}
