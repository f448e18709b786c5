resource "aws_cloudwatch_log_group" "waf" {
  #checkov:skip=CKV_AWS_338: refused requests are investigated within weeks; the access logs in S3 contain every request
  name              = var.waf_log_group
  kms_key_id        = var.waf_log_key_arn
  retention_in_days = 90
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  log_destination_configs = [aws_cloudwatch_log_group.waf.arn]
  resource_arn            = aws_wafv2_web_acl.this.arn

  # Only refused requests: the access logs contain the rest, and the counted rules match nearly every long chat.
  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ALL"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }

  redacted_fields {
    single_header {
      name = "authorization"
    }
  }
  redacted_fields {
    single_header {
      name = "cookie"
    }
  }

  depends_on = [aws_cloudwatch_log_resource_policy.waf]
}

# AWS would add such a statement itself, to a policy that everything in the region shares. This policy is deleted with the
# environment.
resource "aws_cloudwatch_log_resource_policy" "waf" {
  policy_name     = "${var.name}-waf-log"
  policy_document = data.aws_iam_policy_document.waf_log.json
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "waf_log" {
  statement {
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    # The group's streams; AWS names them.
    resources = ["${aws_cloudwatch_log_group.waf.arn}:*"]

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      # AWS creates the ID of the delivery after this policy.
      values = ["arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:*"]
    }
  }
}
