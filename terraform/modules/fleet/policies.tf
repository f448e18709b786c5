data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # arn:PARTITION:SERVICE:REGION:ACCOUNT up to the resource
  arn_middle = "${var.region}:${data.aws_caller_identity.current.account_id}"
  arn_prefix = "arn:${data.aws_partition.current.partition}"

  s3_service      = "s3.${var.region}.${data.aws_partition.current.dns_suffix}"
  secrets_service = "secretsmanager.${var.region}.${data.aws_partition.current.dns_suffix}"
}

# Session Manager and Run Command, in place of SSH. Not AmazonSSMManagedInstanceCore: that reads every parameter of the account.
data "aws_iam_policy_document" "session" {
  statement {
    sid = "Channels"
    actions = [
      "ec2messages:AcknowledgeMessage",
      "ec2messages:DeleteMessage",
      "ec2messages:FailMessage",
      "ec2messages:GetEndpoint",
      "ec2messages:GetMessages",
      "ec2messages:SendReply",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"] # these actions know no resources; the service ties a channel to the calling instance
  }
  statement {
    sid       = "Register"
    actions   = ["ssm:UpdateInstanceInformation"]
    resources = ["${local.arn_prefix}:ec2:${local.arn_middle}:instance/*"] # an instance's id is not known before it runs
  }
}

# What is to run here, and with which secrets.
data "aws_iam_policy_document" "release" {
  statement {
    sid     = "Parameters"
    actions = ["ssm:GetParameter", "ssm:GetParameters"]
    # The image is chosen by the launch template: the instance need not read which.
    resources = [for key, name in var.parameters : "${local.arn_prefix}:ssm:${local.arn_middle}:parameter${name}" if key != "image"]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    resources = values(var.secret_arns)
  }
  statement {
    # Whoever boots on an empty database makes Open WebUI's role there, which takes the master's rights; no other boot asks
    # for them. It gives an instance little that it lacks: Open WebUI's own role owns all that is in this database. See
    # docs/decisions/0008-migrations.md for the ways that would need no such statement.
    sid       = "DatabaseMaster"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.master_secret_arn]
  }
  statement {
    sid       = "DecryptSecrets"
    actions   = ["kms:Decrypt"]
    resources = [var.key_arns.data]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.secrets_service]
    }
  }
  statement {
    sid     = "Artifacts" # the bucket is encrypted with S3's own key, which needs no permission
    actions = ["s3:GetObject"]
    # Every release's archive and every model file of this environment, by the contract's patterns.
    resources = [for pattern in [var.contract.artifacts.collection, var.contract.artifacts.models] :
    "${local.arn_prefix}:s3:::${var.artifact_bucket}/${replace(replace(pattern, "{environment}", var.environment), "/{[a-z0-9_]+}/", "*")}"]
  }
}

data "aws_iam_policy_document" "storage" {
  statement {
    sid       = "Uploads"
    actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["${var.uploads_bucket.arn}/*"] # Open WebUI names the objects, and the bucket holds nothing else
  }
  statement {
    sid       = "ListUploads"
    actions   = ["s3:ListBucket"]
    resources = [var.uploads_bucket.arn]
  }
  statement {
    sid       = "UploadsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.key_arns.data]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
  }
  statement {
    # Write, because no one else can: the file system is reachable from the private subnets only, so the first
    # instance that lacks a model fills it. Every copy is verified by digest before it is served. Never root.
    sid       = "Models"
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [var.files.file_system_arn]

    condition {
      test     = "ArnEquals"
      variable = "elasticfilesystem:AccessPointArn"
      values   = ["${local.arn_prefix}:elasticfilesystem:${local.arn_middle}:access-point/${var.files.access_point_id}"]
    }
  }
}

data "aws_iam_policy_document" "telemetry" {
  statement {
    sid       = "Metrics"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # the action knows no resources; the namespace bounds it

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [var.contract.metrics.namespace]
    }
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = [for arn in [var.log_group_arns.gateway, var.log_group_arns.instance] : "${arn}:*"] # an instance writes streams of its own name
  }
  statement {
    # The CloudWatch agent asks for its group's name, the dimension AutoScalingGroupName, and drops every metric
    # until it has it. The action knows no resources; it reveals tags, which hold no secret.
    sid       = "GroupName"
    actions   = ["ec2:DescribeTags"]
    resources = ["*"]
  }
}

# To report ready, failed or drained to the own group.
data "aws_iam_policy_document" "lifecycle" {
  statement {
    sid     = "Report"
    actions = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    # The wildcard stands for the group's UUID, which exists only after the first instances may need this policy.
    resources = ["${local.arn_prefix}:autoscaling:${local.arn_middle}:autoScalingGroup:*:autoScalingGroupName/${var.name}"]
  }
  statement {
    # Whether this instance still waits in a hook: metadata only has the state that it is heading for.
    sid       = "OwnState"
    actions   = ["autoscaling:DescribeAutoScalingInstances"]
    resources = ["*"] # the action knows no resources
  }
}
