# Computed values are known at plan time, so that the tests can compare references between resources.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan

  mock_resource "aws_backup_plan" {
    defaults = {}
  }
  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:us-east-1:123456789012:backup-vault:test-vault" }
  }
}

override_resource {
  target = aws_iam_role.backup
  values = { arn = "arn:aws:iam::123456789012:role/test-backup" }

  override_during = plan
}

override_resource {
  target = aws_iam_role.restore
  values = { arn = "arn:aws:iam::123456789012:role/test-restore" }

  override_during = plan
}

variables {
  copy_vault_arn = null
  database_settings = {
    DBParameterGroupName = "test-database-postgres16"
    DBSubnetGroupName    = "test-database"
    VpcSecurityGroupIds  = jsonencode(["sg-database"])
  }
  force_destroy            = false
  kms_key_arn              = "arn:aws:kms:us-east-1:123456789012:key/data"
  name                     = "test"
  permissions_boundary_arn = null
  resource_arns = [
    "arn:aws:rds:us-east-1:123456789012:db:test-database",
    "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1",
    "arn:aws:s3:::uploads",
  ]
  snapshot_only_arns = ["arn:aws:s3:::artifacts"]

  restore_testing = true
  retention_days  = 35
  topic_arn       = "arn:aws:sns:us-east-1:123456789012:test-alarms"
  vault_name      = "test-vault"
}

# Requirement 8.5
run "database_files_and_uploads_are_backed_up_daily_and_kept_for_retention_days" {
  command = plan

  assert {
    condition     = aws_backup_selection.daily.resources == toset(concat(var.resource_arns, var.snapshot_only_arns)) && aws_backup_selection.daily.plan_id == aws_backup_plan.daily.id
    error_message = "all stores must be in the daily plan"
  }
  assert {
    condition = alltrue([for rule in aws_backup_plan.daily.rule : can(regex("^cron\\([0-9]+ [0-9]+ \\* \\* \\? \\*\\)$", rule.schedule))
    && rule.lifecycle[0].delete_after == 35 && rule.target_vault_name == aws_backup_vault.this.name && length(rule.copy_action) == 0])
    error_message = "a backup must be made daily, into the vault, and expire after retention_days"
  }
}

# Requirement 8.5
run "database_and_uploads_have_point_in_time_recovery_and_the_file_system_is_not_copied_twice" {
  command = plan

  variables {
    retention_days = 1
  }
  assert {
    condition     = alltrue([for rule in aws_backup_plan.continuous.rule : rule.enable_continuous_backup && rule.lifecycle[0].delete_after == 2])
    error_message = "retention of continuous backups must exceed their daily renewal"
  }
  assert {
    condition = (aws_backup_selection.continuous.resources == toset(["arn:aws:rds:us-east-1:123456789012:db:test-database", "arn:aws:s3:::uploads"])
    && aws_backup_selection.continuous.plan_id == aws_backup_plan.continuous.id)
    error_message = "EFS must be excluded: it has no continuous backups, and AWS would create a second snapshot"
  }
}

# Requirement 8.5
run "a_copy_goes_to_the_named_vault_for_disaster_recovery" {
  command = plan

  variables {
    copy_vault_arn = "arn:aws:backup:eu-west-1:210987654321:backup-vault:copies"
  }
  assert {
    condition = [for rule in aws_backup_plan.daily.rule : [for copy in rule.copy_action : "${copy.destination_vault_arn} ${copy.lifecycle[0].delete_after}"]
    ] == [["arn:aws:backup:eu-west-1:210987654321:backup-vault:copies 35"]]
    error_message = "each daily backup must be copied, with the same retention"
  }
}

# Requirement 8.5
run "restores_of_each_store_type_are_tested_every_week" {
  command = plan

  assert {
    condition = (strcontains(aws_backup_restore_testing_plan.this[0].schedule_expression, "TUE")
    && aws_backup_restore_testing_plan.this[0].recovery_point_selection[0].include_vaults == toset([aws_backup_vault.this.arn]))
    error_message = "a weekly test must restore from the vault"
  }
  assert {
    condition = (toset([for selection in aws_backup_restore_testing_selection.this : selection.protected_resource_type]) == toset(["EFS", "RDS", "S3"])
    && alltrue([for selection in aws_backup_restore_testing_selection.this : selection.iam_role_arn == aws_iam_role.restore.arn]))
    error_message = "every type of store must be restored, with the role that may only restore"
  }
  assert {
    condition = jsonencode({ for type, selection in aws_backup_restore_testing_selection.this : type => selection.restore_metadata_overrides }) == jsonencode({
      EFS = { kmsKeyId = var.kms_key_arn }
      RDS = { dbParameterGroupName = "test-database-postgres16", dbSubnetGroupName = "test-database", multiAz = "false", publiclyAccessible = "false", vpcSecurityGroupIds = "[\"sg-database\"]" }
      S3  = { encryptionType = "SSE-KMS", kmsKey = var.kms_key_arn }
    })
    error_message = "a test must restore into the fabric's subnets and under its key, not into the account's default VPC"
  }
  assert {
    condition     = output.restore_testing_plan_name == "test_weekly"
    error_message = "AWS allows no dashes in this name"
  }
}

run "no_restore_is_tested_when_restore_testing_is_off" {
  command = plan

  variables {
    restore_testing = false
  }
  assert {
    condition     = length(aws_backup_restore_testing_plan.this) + length(aws_backup_restore_testing_selection.this) == 0 && output.restore_testing_plan_name == null
    error_message = "no restore test may run when restore_testing is false, because a restored resource costs as much as the original"
  }
}

# Requirement 8.5, 9.4, 9.5
run "backups_are_encrypted_and_cannot_be_deleted_manually_while_protection_is_on" {
  command = plan

  assert {
    condition     = aws_backup_vault.this.kms_key_arn == var.kms_key_arn && !aws_backup_vault.this.force_destroy && terraform_data.deletion_protection.input
    error_message = "the vault must be encrypted by the customer managed key and refuse deletion"
  }
  assert {
    condition = (length(aws_backup_vault_policy.this) == 1 && data.aws_iam_policy_document.vault.statement[0].effect == "Deny"
      && length(setsubtract(["backup:DeleteRecoveryPoint", "backup:UpdateRecoveryPointLifecycle", "backup:DeleteBackupVault"], data.aws_iam_policy_document.vault.statement[0].actions)) == 0
    && one(data.aws_iam_policy_document.vault.statement[0].principals[*].identifiers) == toset(["*"]))
    error_message = "deleting a backup and shortening its retention must be denied to everyone"
  }
  assert {
    condition = { for condition in data.aws_iam_policy_document.vault.statement[0].condition : condition.variable => "${condition.test} ${join(",", condition.values)}" } == {
      "aws:PrincipalArn"          = "ArnNotEquals ${aws_iam_role.backup.arn}"
      "aws:PrincipalIsAWSService" = "BoolIfExists false"
    }
    error_message = "only AWS Backup, which expires backups according to their plan, may be exempt"
  }
}

# Requirement 8.5
run "a_vault_lock_in_governance_mode_holds_without_the_policy_while_protection_is_on" {
  command = plan

  assert {
    condition = (aws_backup_vault_lock_configuration.this[0].backup_vault_name == "test-vault" && aws_backup_vault_lock_configuration.this[0].min_retention_days == 1
    && aws_backup_vault_lock_configuration.this[0].changeable_for_days == null)
    error_message = "deleting a backup must need more than the permission to change the policy, and the lock must stay removable"
  }
}

run "the_vault_can_be_emptied_and_destroyed_while_protection_is_off" {
  command = plan

  variables {
    force_destroy = true
  }
  assert {
    condition     = aws_backup_vault.this.force_destroy && length(aws_backup_vault_policy.this) + length(aws_backup_vault_lock_configuration.this) == 0 && !terraform_data.deletion_protection.input
    error_message = "Terraform must be able to delete the contents of the vault"
  }
}

# Requirement 9.4
run "separate_roles_back_up_and_restore_and_only_aws_backup_may_assume_them" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }
  assert {
    condition = ({ for role in ["test-backup", "test-restore"] : role => sort([for attachment in aws_iam_role_policy_attachment.this : attachment.policy_arn if attachment.role == role]) } == {
      test-backup  = tolist(["arn:aws:iam::aws:policy/AWSBackupServiceRolePolicyForS3Backup", "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup"])
      test-restore = tolist(["arn:aws:iam::aws:policy/AWSBackupServiceRolePolicyForS3Restore", "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores"])
    })
    error_message = "no role may both back up and restore"
  }
  assert {
    condition     = aws_backup_selection.daily.iam_role_arn == aws_iam_role.backup.arn && aws_backup_selection.continuous.iam_role_arn == aws_iam_role.backup.arn
    error_message = "the plans must use the role that may only back up"
  }
  assert {
    condition = (one(data.aws_iam_policy_document.trust.statement[0].principals[*].identifiers) == toset(["backup.amazonaws.com"])
    && alltrue([for role in [aws_iam_role.backup, aws_iam_role.restore] : role.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"]))
    error_message = "only AWS Backup may assume the roles, within the boundary"
  }
}

# Requirement 5.4
run "failures_without_a_metric_are_sent_to_the_topic" {
  command = plan

  assert {
    condition = (aws_backup_vault_notifications.this.sns_topic_arn == var.topic_arn && aws_backup_vault_notifications.this.backup_vault_name == aws_backup_vault.this.name
    && alltrue([for event in aws_backup_vault_notifications.this.backup_vault_events : endswith(event, "_FAILED")]))
    error_message = "administrators must be notified of failed copies and objects, not of successes"
  }
}
