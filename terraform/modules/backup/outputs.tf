output "plan_id" {
  description = "The daily plan."
  value       = aws_backup_plan.daily.id
}

output "restore_testing_plan_name" {
  description = "The weekly restore test. Null without restore_testing."
  value       = one(aws_backup_restore_testing_plan.this[*].name)
}

output "vault_arn" {
  description = "Where the backups lie."
  value       = aws_backup_vault.this.arn
}

output "vault_name" {
  description = "Where the backups lie, by name."
  value       = aws_backup_vault.this.name
}
