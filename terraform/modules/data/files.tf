# Model files, shared by all instances: an instance copies them to its own disk at boot.

resource "aws_efs_file_system" "models" {
  #checkov:skip=CKV2_AWS_18: it is in the daily plan; modules/backup gets its ARN through backup_resource_arns, which the scanner cannot follow
  creation_token  = "${var.name}-models"
  encrypted       = true
  kms_key_id      = aws_kms_key.data.arn
  throughput_mode = "elastic" # many instances read gigabytes at once at boot, then nothing for days

  # Models that nobody loads cost a twentieth; the first read brings them back.
  lifecycle_policy {
    transition_to_ia = "AFTER_30_DAYS"
  }
  lifecycle_policy {
    transition_to_primary_storage_class = "AFTER_1_ACCESS"
  }

  tags = { Name = "${var.name}-models" }
}

# No aws_efs_backup_policy: its automatic backups would go to a vault of their own, a second copy beside the plan of
# module backup, which also restores its copies to prove them.

resource "aws_efs_mount_target" "models" {
  count = length(var.subnet_ids)

  file_system_id  = aws_efs_file_system.models.id
  security_groups = [var.security_group_ids.files]
  subnet_id       = var.subnet_ids[count.index]
}

resource "aws_efs_access_point" "models" {
  file_system_id = aws_efs_file_system.models.id

  # Every client acts as this user, root included: no user of the operating system, so it owns nothing else.
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

# No Allow: once a file system has a policy, a client without IAM credentials is refused, and the instances' role brings
# its own right to mount. So that role has to name it, and a mount needs the options tls, iam and accesspoint.
data "aws_iam_policy_document" "models" {
  statement {
    sid       = "DenyPlainNfs"
    effect    = "Deny"
    actions   = ["*"] # AWS's own form of this rule: whatever a client may ask for, not without TLS
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
      test     = "StringNotEquals" # matches a mount without any access point as well
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.models.arn]
    }
  }
}

resource "aws_efs_file_system_policy" "models" {
  file_system_id = aws_efs_file_system.models.id
  policy         = data.aws_iam_policy_document.models.json
}
