# Created only with a new VPC. The owner of an existing VPC decides about its flow log.
resource "aws_cloudwatch_log_group" "flow" {
  count = local.created ? 1 : 0

  name              = var.flow_log_group
  kms_key_id        = var.kms_key_arn
  retention_in_days = var.flow_log_retention_days
}

resource "aws_flow_log" "this" {
  count = local.created ? 1 : 0

  vpc_id                   = aws_vpc.this[0].id
  iam_role_arn             = aws_iam_role.flow_log[0].arn
  log_destination          = aws_cloudwatch_log_group.flow[0].arn
  log_destination_type     = "cloud-watch-logs"
  max_aggregation_interval = 600 # seconds; 60 creates up to ten times the records, which are charged by size
  traffic_type             = "ALL"

  tags = { Name = var.name }

  depends_on = [aws_iam_role_policy.flow_log] # without the policy, the first delivery fails, and the flow log shows that error permanently
}

resource "aws_iam_role" "flow_log" {
  count = local.created ? 1 : 0

  name                 = "${var.name}-flow-log"
  description          = "Lets VPC flow logs write into ${var.flow_log_group}"
  assume_role_policy   = data.aws_iam_policy_document.flow_log_trust[0].json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "flow_log" {
  count = local.created ? 1 : 0

  name   = "write-flow-log"
  role   = aws_iam_role.flow_log[0].id
  policy = data.aws_iam_policy_document.flow_log_write[0].json
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "flow_log_trust" {
  count = local.created ? 1 : 0

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    # Prevents the confused deputy problem. The flow log's ID is not known before the role exists, hence the wildcard.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${data.aws_partition.current.partition}:ec2:${var.region}:${data.aws_caller_identity.current.account_id}:vpc-flow-log/*"]
    }
  }
}

data "aws_iam_policy_document" "flow_log_write" {
  count = local.created ? 1 : 0

  statement {
    sid = "WriteStreams"
    # Without CreateLogGroup: late records would recreate a deleted group outside Terraform.
    actions = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    # The group's streams, one per network interface; AWS names them.
    resources = ["${aws_cloudwatch_log_group.flow[0].arn}:*"]
  }

  statement {
    sid     = "FindGroup"
    actions = ["logs:DescribeLogGroups"]
    # A list action, which cannot be restricted to one group: VPC User Guide, "IAM role for publishing flow logs to CloudWatch Logs".
    resources = ["*"]
  }
}
