locals {
  # Without these, AWS infers the account's default VPC, security group, and keys: a test fails where they do not exist, and
  # otherwise puts a copy of the users' data into them. Names: AWS Backup Developer Guide, "Restore testing inferred metadata".
  restore_test_overrides = {
    EFS = { kmsKeyId = var.kms_key_arn }
    RDS = {
      dbParameterGroupName = var.database_settings.DBParameterGroupName
      dbSubnetGroupName    = var.database_settings.DBSubnetGroupName
      multiAz              = "false" # a standby would double the price of the test
      publiclyAccessible   = "false"
      vpcSecurityGroupIds  = var.database_settings.VpcSecurityGroupIds
    }
    S3 = { encryptionType = "SSE-KMS", kmsKey = var.kms_key_arn }
  }
}

# A backup is only proven by a restore. AWS restores the newest backup of each type under a new name, keeps it for the window,
# reports the outcome (an alarm watches NumberOfRestoreJobsFailed), and deletes it.

resource "aws_backup_restore_testing_plan" "this" {
  count = var.restore_testing ? 1 : 0

  name                = replace("${var.name}-weekly", "-", "_") # dashes are not allowed
  schedule_expression = "cron(0 12 ? * TUE *)"                  # at a time when an operator can react to the alarm
  start_window_hours  = 4

  recovery_point_selection {
    algorithm             = "LATEST_WITHIN_WINDOW"
    include_vaults        = [aws_backup_vault.this.arn]
    recovery_point_types  = ["CONTINUOUS", "SNAPSHOT"]
    selection_window_days = 7
  }
}

resource "aws_backup_restore_testing_selection" "this" {
  for_each = var.restore_testing ? local.restore_test_overrides : {}

  name                       = each.key
  restore_testing_plan_name  = aws_backup_restore_testing_plan.this[0].name
  iam_role_arn               = aws_iam_role.restore.arn
  protected_resource_type    = each.key
  protected_resource_arns    = ["*"] # of this type in the plan's vault, which holds no other resources
  restore_metadata_overrides = each.value
  validation_window_hours    = 4 # time to inspect the restored resource, which costs as much as the original during that time

  depends_on = [aws_iam_role_policy_attachment.this]
}
