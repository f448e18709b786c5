# Model files, shared by all instances. Each instance copies them to its own disk at boot.

resource "aws_efs_file_system" "models" {
  #checkov:skip=CKV2_AWS_18: it is in the daily plan; modules/backup gets its ARN through backup_resource_arns, which the scanner cannot follow
  creation_token  = "${var.name}-models"
  encrypted       = true
  kms_key_id      = aws_kms_key.data.arn
  throughput_mode = "elastic" # many instances read gigabytes simultaneously at boot, then nothing for days

  # Models that are not loaded cost a twentieth in this class. The first read moves them back.
  lifecycle_policy {
    transition_to_ia = "AFTER_30_DAYS"
  }
  lifecycle_policy {
    transition_to_primary_storage_class = "AFTER_1_ACCESS"
  }

  tags = { Name = "${var.name}-models" }
}

# No aws_efs_backup_policy: its automatic backups would go to a separate vault, as a second copy in addition to the plan in the
# backup module, which also tests restores.

resource "aws_efs_mount_target" "models" {
  count = length(var.subnet_ids)

  file_system_id  = aws_efs_file_system.models.id
  security_groups = [var.security_group_ids.files]
  subnet_id       = var.subnet_ids[count.index]
}

resource "aws_efs_access_point" "models" {
  file_system_id = aws_efs_file_system.models.id

  # Every client acts as this user, including root. It is not a user of the operating system, so it owns nothing else.
  posix_user {
    gid = 1150
    uid = 1150
  }

  root_directory {
    path = "/models"

    creation_info {
      owner_gid   = 1150
      owner_uid   = 1150
      permissions = "0755"
    }
  }

  tags = { Name = "${var.name}-models" }
}

# No Allow statement: once a file system has a policy, clients without IAM credentials are refused, and the instance role grants
# the right to mount. That role must name the file system, and a mount needs the options tls, iam, and accesspoint.
data "aws_iam_policy_document" "models" {
  statement {
    sid       = "DenyPlainNfs"
    effect    = "Deny"
    actions   = ["*"] # AWS's own form of this rule: no operation is allowed without TLS
    resources = [aws_efs_file_system.models.arn]

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
    sid       = "DenyRoot"
    effect    = "Deny"
    actions   = ["elasticfilesystem:ClientRootAccess"]
    resources = [aws_efs_file_system.models.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }

  statement {
    sid       = "DenyAroundTheAccessPoint"
    effect    = "Deny"
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.models.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "StringNotEquals" # also matches a mount without an access point
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.models.arn]
    }
  }
}

resource "aws_efs_file_system_policy" "models" {
  file_system_id = aws_efs_file_system.models.id
  policy         = data.aws_iam_policy_document.models.json
}
