output "plan_id" {
  description = "The daily plan."
  value       = aws_backup_plan.daily.id
}

output "restore_testing_plan_name" {
  description = "The weekly restore test. Null without restore_testing."
  value       = one(aws_backup_restore_testing_plan.this[*].name)
}

output "role_arns" {
  description = "What AWS Backup acts as: backup writes into the vault, restore reads from it. Once they have their rights."
  value       = { backup = aws_iam_role.backup.arn, restore = aws_iam_role.restore.arn }
  depends_on  = [aws_iam_role_policy_attachment.this]
}

output "vault_arn" {
  description = "Where the backups lie."
  value       = aws_backup_vault.this.arn
}

output "vault_name" {
  description = "Where the backups lie, by name."
  value       = aws_backup_vault.this.name
}
