# AWS/Backup sends points only when there is something to count, hence FILL and an hour's period: a job that fails
# rings within the hour and not again for it.
locals {
  vault = { BackupVaultName = var.backup_vault_name }

  backup_math_alarms = {
    "backup-failed" = merge(local.alarm_defaults, {
      what                = "backup-failed"
      description         = "A backup has failed, was aborted or did not finish in its window: the newest restorable state grows older."
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
      description         = "A restore, or the regular test of one, has failed: the backups may not be usable."
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
