# Three keys instead of one, because they have different users: a principal that reads logs does not need the database, and the
# Auto Scaling service must use only the key of the volumes.

locals {
  # Account of the disaster recovery copy, if it is a different account.
  copy_account_id = try(split(":", var.settings.backup_copy_vault_arn)[4], local.account_id)

  # AWS's minimum is 7 days. Its maximum, 30 days, leaves time to notice and cancel the deletion.
  key_deletion_days = var.settings.deletion_protection ? 30 : 7
}

data "aws_iam_policy_document" "account_administration" {
  #checkov:skip=CKV_AWS_109: without a statement for the account's administration, the key could never be managed again
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: in a key policy, `*` means this key; no other resource is possible

  statement {
    # Delegates the decision to IAM policies. This statement alone lets no principal use the key.
    sid       = "AccountAdministration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }
}

# Database, cache, EFS, S3, Secrets Manager, and AWS Backup use the permissions of their caller, so the account's IAM policies are
# sufficient, except for a backup that another account must be able to read.
data "aws_iam_policy_document" "data_key" {
  #checkov:skip=CKV_AWS_109: see account_administration; `*` means this key
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: same reason
  source_policy_documents = [data.aws_iam_policy_document.account_administration.json]

  dynamic "statement" {
    for_each = local.copy_account_id == local.account_id ? [] : [local.copy_account_id]

    content {
      # Copies of RDS snapshots in another account are still encrypted with this key, so that account must be able to use it.
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

# Trap: Auto Scaling launches instances with its service-linked role. You cannot extend the IAM permissions of that role; only the
# key's policy can grant it access. Without these statements, every instance terminates immediately with Client.InternalError and
# no further message. The role cannot be a principal in the policy: KMS rejects a principal that does not exist yet, and AWS
# creates the role with the account's first group. A condition on the caller's ARN is evaluated only when the key is used, so it
# can name the role already. EC2's spot role needs the same.
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
      # Only EC2 on behalf of the role may create grants. The role cannot grant access to other principals.
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

# WAF and VPC flow logs need no statement of their own: they deliver to log groups, which CloudWatch Logs encrypts.
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
      # All log groups of this account and region instead of a list: their names are in other modules, and the encryption context
      # excludes other accounts' groups.
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${var.region}:${local.account_id}:log-group:*"]
    }
  }

  statement {
    # These services publish to the encrypted topic themselves. No aws:SourceAccount: EventBridge and AWS Backup do not always
    # send it to KMS, and an alarm that cannot be published is lost silently. The topic's own policy names the sources.
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
