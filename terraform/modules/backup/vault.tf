resource "aws_backup_vault" "this" {
  name          = "${var.name}-vault"
  force_destroy = var.force_destroy
  kms_key_arn   = var.kms_key_arn
}

# While protection is on nobody deletes a backup by hand, administrators and intruders with their rights included: it
# expires by its plan, or protection is first switched off, in a reviewed plan. Absent where the vault may be destroyed,
# or Terraform itself could not empty it.
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
    resources = ["*"] # in a vault's policy: this vault and what is in it

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      # AWS Backup expires backups as the role that made them.
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

# Only what no metric counts: alarms watch failed backups and restores. BACKUP_JOB_FAILED, which older examples name, is
# accepted and never sent; its successor BACKUP_JOB_COMPLETED would also report every success.
resource "aws_backup_vault_notifications" "this" {
  backup_vault_name   = aws_backup_vault.this.name
  backup_vault_events = ["COPY_JOB_FAILED", "S3_BACKUP_OBJECT_FAILED", "S3_RESTORE_OBJECT_FAILED"]
  sns_topic_arn       = var.topic_arn
}
