# AWS refuses to delete a vault with backups in it. By then, however, its policy, plans, and roles are deleted and no further
# backups are made. So this resource refuses first: everything else in the module is destroyed after it. To delete the backups,
# apply with data.deletion_protection = false, then destroy.
resource "terraform_data" "deletion_protection" {
  input = !var.force_destroy

  provisioner "local-exec" {
    when    = destroy
    command = self.output ? "echo 'Refused: data.deletion_protection is on. Set it to false, deploy, then destroy.' >&2; exit 1" : "true"
    quiet   = true
  }

  depends_on = [
    aws_backup_restore_testing_selection.this,
    aws_backup_selection.continuous,
    aws_backup_selection.daily,
    aws_backup_vault_lock_configuration.this,
    aws_backup_vault_notifications.this,
    aws_backup_vault_policy.this,
  ]
}
