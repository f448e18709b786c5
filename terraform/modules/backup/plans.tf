# Two plans, as AWS recommends: snapshots can be copied to another vault, and continuous backups allow point-in-time recovery. The
# file system is only in the first plan: EFS has no continuous backups, and AWS would silently create a second snapshot instead.
#
# Times are UTC and avoid RDS's own windows (03:00 backup, Sunday 05:00 maintenance): AWS Backup does not start within the hour
# before these windows.

resource "aws_backup_plan" "daily" {
  name = "${var.name}-daily"

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(0 7 * * ? *)"
    start_window      = 60  # minutes
    completion_window = 720 # minutes; the first backup of a large bucket takes hours

    lifecycle {
      delete_after = var.retention_days
    }

    dynamic "copy_action" {
      for_each = var.copy_vault_arn == null ? [] : [var.copy_vault_arn]

      content {
        destination_vault_arn = copy_action.value

        lifecycle {
          delete_after = var.retention_days
        }
      }
    }
  }
}

resource "aws_backup_plan" "continuous" {
  name = "${var.name}-continuous"

  rule {
    rule_name                = "continuous"
    target_vault_name        = aws_backup_vault.this.name
    schedule                 = "cron(0 10 * * ? *)" # how often its settings are renewed; changes are recorded continuously
    start_window             = 60
    completion_window        = 720
    enable_continuous_backup = true

    lifecycle {
      delete_after = max(var.retention_days, 2) # must exceed the daily renewal, or it would expire before the next one
    }
  }
}

# Selected by ARN, not by tag: AWS Backup then backs up a resource even if the account has not opted in for its type.
resource "aws_backup_selection" "daily" {
  name         = "${var.name}-stores"
  plan_id      = aws_backup_plan.daily.id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = concat(var.resource_arns, var.snapshot_only_arns)

  depends_on = [aws_iam_role_policy_attachment.this]
}

resource "aws_backup_selection" "continuous" {
  name         = "${var.name}-stores"
  plan_id      = aws_backup_plan.continuous.id
  iam_role_arn = aws_iam_role.backup.arn
  resources    = [for arn in var.resource_arns : arn if !strcontains(arn, ":elasticfilesystem:")]

  depends_on = [aws_iam_role_policy_attachment.this]
}
