data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # arn:PARTITION:SERVICE:REGION:ACCOUNT, the part before the resource
  arn_middle = "${var.region}:${data.aws_caller_identity.current.account_id}"
  arn_prefix = "arn:${data.aws_partition.current.partition}"

  s3_service      = "s3.${var.region}.${data.aws_partition.current.dns_suffix}"
  secrets_service = "secretsmanager.${var.region}.${data.aws_partition.current.dns_suffix}"
}

# Session Manager and Run Command, instead of SSH. Not AmazonSSMManagedInstanceCore, because it allows reading every parameter of
# the account.
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
    resources = ["*"] # these actions support no resources; the service ties a channel to the calling instance
  }
  statement {
    sid       = "Register"
    actions   = ["ssm:UpdateInstanceInformation"]
    resources = ["${local.arn_prefix}:ec2:${local.arn_middle}:instance/*"] # the ID of an instance is not known before it runs
  }
}

# The release to run, and its secrets.
data "aws_iam_policy_document" "release" {
  statement {
    sid     = "Parameters"
    actions = ["ssm:GetParameter", "ssm:GetParameters"]
    # The launch template chooses the image, so the instance does not need this parameter.
    resources = [for key, name in var.parameters : "${local.arn_prefix}:ssm:${local.arn_middle}:parameter${name}" if key != "image"]
  }
  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    resources = values(var.secret_arns)
  }
  statement {
    # An instance that boots with an empty database creates Open WebUI's role there, which needs the master's permissions. No
    # other boot uses them. The statement adds little: Open WebUI's own role owns everything in this database. For alternatives
    # without this statement, see docs/decisions/0008-migrations.md.
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
    # The archive of every release and every model file of this environment, according to the contract's patterns.
    resources = [for pattern in [var.contract.artifacts.collection, var.contract.artifacts.models] :
    "${local.arn_prefix}:s3:::${var.artifact_bucket}/${replace(replace(pattern, "{environment}", var.environment), "/{[a-z0-9_]+}/", "*")}"]
  }
}

data "aws_iam_policy_document" "storage" {
  statement {
    sid       = "Uploads"
    actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    resources = ["${var.uploads_bucket.arn}/*"] # Open WebUI chooses the object names, and the bucket contains nothing else
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
    # Write access, because only instances can write: the file system is reachable only from the private subnets, so the first
    # instance that lacks a model stores it. Every copy is verified by digest before it is served. Never root access.
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
    resources = ["*"] # the action supports no resources; the namespace restricts it

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [var.contract.metrics.namespace]
    }
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = [for arn in [var.log_group_arns.gateway, var.log_group_arns.instance] : "${arn}:*"] # an instance writes to streams named after itself
  }
  statement {
    # The CloudWatch agent looks up its group's name, the dimension AutoScalingGroupName, and drops every metric until it has it.
    # The action supports no resources. It returns tags, which contain no secret.
    sid       = "GroupName"
    actions   = ["ec2:DescribeTags"]
    resources = ["*"]
  }
}

# Reports ready, failed, or drained to the instance's own group.
data "aws_iam_policy_document" "lifecycle" {
  statement {
    sid     = "Report"
    actions = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    # The wildcard is for the group's UUID, which might not exist before the first instances need this policy.
    resources = ["${local.arn_prefix}:autoscaling:${local.arn_middle}:autoScalingGroup:*:autoScalingGroupName/${var.name}"]
  }
  statement {
    # Whether this instance is still waiting in a hook. The metadata service returns only the target state.
    sid       = "OwnState"
    actions   = ["autoscaling:DescribeAutoScalingInstances"]
    resources = ["*"] # the action supports no resources
  }
}
