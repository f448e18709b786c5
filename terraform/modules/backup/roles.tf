# One role writes backups and another reads them, so that a stolen role cannot do both.
#
# The policies are AWS's managed ones, although they are broad: the permissions that a backup needs change with AWS's features,
# and a policy that lags behind makes backups fail. Only AWS Backup can assume the roles, and only for the resources in the plans.

locals {
  managed_policies = {
    backup  = { role = aws_iam_role.backup.name, policy = "service-role/AWSBackupServiceRolePolicyForBackup" }
    restore = { role = aws_iam_role.restore.name, policy = "service-role/AWSBackupServiceRolePolicyForRestores" }
    # The two general policies do not cover S3.
    s3_backup  = { role = aws_iam_role.backup.name, policy = "AWSBackupServiceRolePolicyForS3Backup" }
    s3_restore = { role = aws_iam_role.restore.name, policy = "AWSBackupServiceRolePolicyForS3Restore" }
  }
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["backup.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "backup" {
  name                 = "${var.name}-backup"
  description          = "AWS Backup makes the backups of ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role" "restore" {
  name                 = "${var.name}-restore"
  description          = "AWS Backup restores backups of ${var.name}, for tests and for real"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = local.managed_policies

  role       = each.value.role
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/${each.value.policy}"
}
