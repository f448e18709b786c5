# One role writes backups and another reads them back: whoever gets hold of one cannot do both.
#
# AWS's managed policies, though wide: what a backup needs changes with AWS's own features, and a policy that lags behind
# fails in the night. Only AWS Backup can take the roles, and only for the resources that the plans name.

locals {
  managed_policies = {
    backup  = { role = aws_iam_role.backup.name, policy = "service-role/AWSBackupServiceRolePolicyForBackup" }
    restore = { role = aws_iam_role.restore.name, policy = "service-role/AWSBackupServiceRolePolicyForRestores" }
    # The two general ones leave S3 out.
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
