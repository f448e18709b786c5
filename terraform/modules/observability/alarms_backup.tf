# AWS/Backup sends data points only when there is something to count, hence FILL and a period of one hour: the alarm fires within
# an hour after a job fails, and only once per failure.
locals {
  vault = { BackupVaultName = var.backup_vault_name }

  backup_math_alarms = {
    "backup-failed" = merge(local.alarm_defaults, {
      what                = "backup-failed"
      description         = "A backup failed, was aborted, or did not finish in its window. The newest restorable state is getting older."
      period              = 3600
      evaluation_periods  = 1
      datapoints_to_alarm = 1
      threshold           = 0
      label               = "backups not made"
      expression          = "FILL(aborted, 0) + FILL(expired, 0) + FILL(failed, 0)"
      metrics = { for id, metric_name in {
        aborted = "NumberOfBackupJobsAborted"
        expired = "NumberOfBackupJobsExpired"
        failed  = "NumberOfBackupJobsFailed"
        } : id => {
        namespace   = "AWS/Backup"
        metric_name = metric_name
        dimensions  = local.vault
        stat        = "Sum"
      } }
    })
  }

  backup_metric_alarms = {
    "restore-failed" = merge(local.alarm_defaults, {
      what                = "restore-failed"
      description         = "A restore, or the scheduled restore test, failed. The backups might not be usable."
      namespace           = "AWS/Backup"
      metric_name         = "NumberOfRestoreJobsFailed"
      dimensions          = local.vault
      statistic           = "Sum"
      period              = 3600
      evaluation_periods  = 1
      datapoints_to_alarm = 1
      threshold           = 0
    })
  }
}
