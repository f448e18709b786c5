output "plan_id" {
  description = "ID of the daily plan."
  value       = aws_backup_plan.daily.id
}

output "restore_testing_plan_name" {
  description = "Name of the weekly restore test plan. Null if restore_testing is false."
  value       = one(aws_backup_restore_testing_plan.this[*].name)
}

output "role_arns" {
  description = "ARNs of the roles that AWS Backup assumes: backup writes to the vault, restore reads from it. Available once their policies are attached."
  value       = { backup = aws_iam_role.backup.arn, restore = aws_iam_role.restore.arn }
  depends_on  = [aws_iam_role_policy_attachment.this]
}

output "vault_arn" {
  description = "ARN of the vault."
  value       = aws_backup_vault.this.arn
}

output "vault_name" {
  description = "Name of the vault."
  value       = aws_backup_vault.this.name
}
