# Three keys and not one, because their readers differ: whoever may read logs need not read the database, and the
# Auto Scaling service must use the volumes' key and no other.

locals {
  # An account id that a disaster-recovery copy goes to, when it is another one than this.
  copy_account_id = try(split(":", var.settings.backup_copy_vault_arn)[4], local.account_id)

  # Seven days is AWS's minimum; thirty, its maximum, leave time to notice and cancel.
  key_deletion_days = var.settings.deletion_protection ? 30 : 7
}

data "aws_iam_policy_document" "account_administration" {
  #checkov:skip=CKV_AWS_109: a key's policy without its account's administration makes a key that nobody can ever manage again
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: in a key's policy `*` means this key; no other resource can be named

  statement {
    # Hands the decision to IAM policies: nobody may use the key by this statement alone.
    sid       = "AccountAdministration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }
}

# Database, cache, EFS, S3, Secrets Manager and AWS Backup act with the rights of whoever calls them, so the account's
# IAM policies are enough, except for a backup that another account must be able to read.
data "aws_iam_policy_document" "data_key" {
  #checkov:skip=CKV_AWS_109: see account_administration; `*` means this key
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: same reason
  source_policy_documents = [data.aws_iam_policy_document.account_administration.json]

  dynamic "statement" {
    for_each = local.copy_account_id == local.account_id ? [] : [local.copy_account_id]

    content {
      # RDS snapshots are copied to another account still encrypted by this key: that account must read it.
      sid       = "BackupCopyAccountReads"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = ["arn:${local.partition}:iam::${statement.value}:root"]
      }
    }
  }

  dynamic "statement" {
    for_each = local.copy_account_id == local.account_id ? [] : [local.copy_account_id]

    content {
      sid       = "BackupCopyAccountGrants"
      actions   = ["kms:CreateGrant"]
      resources = ["*"]

      principals {
        type        = "AWS"
        identifiers = ["arn:${local.partition}:iam::${statement.value}:root"]
      }
      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }
    }
  }
}

# Trap: Auto Scaling starts instances as its service-linked role, whose rights IAM does not let us extend: only the key's
# policy can. Without these statements every instance ends at once with Client.InternalError and no further word. The
# role cannot be named as a principal, because KMS rejects a principal that does not exist yet and AWS makes the role with
# the account's first group. A condition on the caller's ARN is compared when the key is used, so it may name it already.
# EC2 asks the same for its spot role.
data "aws_iam_policy_document" "compute_key" {
  #checkov:skip=CKV_AWS_109: see account_administration; `*` means this key
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_283: the principal `*` is narrowed to two service-linked roles of this account, see above
  #checkov:skip=CKV_AWS_356: `*` means this key
  source_policy_documents = [data.aws_iam_policy_document.account_administration.json]

  statement {
    sid       = "InstanceLaunchersEncryptVolumes"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = local.instance_launcher_arns
    }
    condition {
      test     = "StringEquals"
      variable = "kms:CallerAccount"
      values   = [local.account_id]
    }
  }

  statement {
    sid       = "InstanceLaunchersAttachVolumes"
    actions   = ["kms:CreateGrant"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values   = local.instance_launcher_arns
    }
    condition {
      test     = "StringEquals"
      variable = "kms:CallerAccount"
      values   = [local.account_id]
    }
    condition {
      # Only EC2 on the role's behalf may grant, never the role to somebody else.
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

locals {
  service_role_prefix = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role"

  instance_launcher_arns = [
    "${local.service_role_prefix}/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
    "${local.service_role_prefix}/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
  ]
}

# WAF and VPC flow logs need nothing of their own: they deliver to log groups, which CloudWatch Logs encrypts.
data "aws_iam_policy_document" "logs_key" {
  #checkov:skip=CKV_AWS_109: see account_administration; `*` means this key
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: `*` means this key
  source_policy_documents = [data.aws_iam_policy_document.account_administration.json]

  statement {
    sid       = "LogGroupsOfThisRegion"
    actions   = ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }
    condition {
      # Every log group here, not a list: their names lie in other modules, and the context stops other accounts' groups.
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:*"]
    }
  }

  statement {
    # These publish to the encrypted topic themselves. No aws:SourceAccount: EventBridge and Backup do not always send
    # it to KMS, and an alarm that cannot be published is lost in silence; the topic's own policy names the sources.
    sid       = "PublishersOfTheTopic"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type = "Service"
      identifiers = [
        "backup.amazonaws.com",
        "budgets.amazonaws.com",
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "events.rds.amazonaws.com",
      ]
    }
  }
}

resource "aws_kms_key" "compute" {
  description             = "Volumes of the instances of ${var.environment}"
  deletion_window_in_days = local.key_deletion_days
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.compute_key.json
}

resource "aws_kms_alias" "compute" {
  name          = "alias/${var.name}-compute"
  target_key_id = aws_kms_key.compute.key_id
}

resource "aws_kms_key" "data" {
  description             = "Database, cache, files, uploads, secrets and backups of ${var.environment}"
  deletion_window_in_days = local.key_deletion_days
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.data_key.json
}

resource "aws_kms_alias" "data" {
  name          = "alias/${var.name}-data"
  target_key_id = aws_kms_key.data.key_id
}

resource "aws_kms_key" "logs" {
  description             = "Log groups and notifications of ${var.environment}"
  deletion_window_in_days = local.key_deletion_days
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.logs_key.json
}

resource "aws_kms_alias" "logs" {
  name          = "alias/${var.name}-logs"
  target_key_id = aws_kms_key.logs.key_id
}
