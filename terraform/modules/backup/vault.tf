resource "aws_backup_vault" "this" {
  name          = var.vault_name
  force_destroy = var.force_destroy
  kms_key_arn   = var.kms_key_arn
}

# While protection is on, no principal can delete a backup manually, including administrators and intruders with their
# permissions. A backup expires according to its plan, or protection is first switched off in a reviewed plan. The policy is
# absent if the vault may be destroyed, because Terraform itself could not empty it.
data "aws_iam_policy_document" "vault" {
  statement {
    sid    = "NobodyDeletesByHand"
    effect = "Deny"
    actions = [
      "backup:DeleteBackupVault",
      "backup:DeleteRecoveryPoint",
      "backup:DisassociateRecoveryPoint",
      "backup:UpdateRecoveryPointLifecycle",
    ]
    resources = ["*"] # in a vault policy: this vault and its contents

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      # AWS Backup expires backups under the role that created them.
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.backup.arn]
    }
    condition {
      test     = "BoolIfExists"
      variable = "aws:PrincipalIsAWSService"
      values   = ["false"]
    }
  }
}

resource "aws_backup_vault_policy" "this" {
  count = var.force_destroy ? 0 : 1

  backup_vault_name = aws_backup_vault.this.name
  policy            = data.aws_iam_policy_document.vault.json
}

# The policy alone could be removed by any principal that may change it. Under the lock, AWS Backup refuses the deletion of a
# backup, whatever the policy says. In governance mode (no changeable_for_days), a principal with the permission
# backup:DeleteBackupVaultLockConfiguration can remove the lock, and Terraform does so when protection is switched off.
resource "aws_backup_vault_lock_configuration" "this" {
  count = var.force_destroy ? 0 : 1

  backup_vault_name  = aws_backup_vault.this.name
  min_retention_days = 1 # no backup here is kept for less
}

# Only events without a metric: alarms watch failed backups and restores. AWS accepts BACKUP_JOB_FAILED, which older examples use,
# but never sends it. Its successor BACKUP_JOB_COMPLETED would also report every success.
resource "aws_backup_vault_notifications" "this" {
  backup_vault_name   = aws_backup_vault.this.name
  backup_vault_events = ["COPY_JOB_FAILED", "S3_BACKUP_OBJECT_FAILED", "S3_RESTORE_OBJECT_FAILED"]
  sns_topic_arn       = var.topic_arn
}
