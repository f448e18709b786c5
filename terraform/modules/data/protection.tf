# RDS has deletion protection of its own. EFS, ElastiCache, keys, and secrets have no such switch, and prevent_destroy cannot
# depend on a variable. This resource protects all of them: every resource with data is destroyed after it, so if it refuses, none
# of them is deleted. To destroy, apply with data.deletion_protection = false first, as with RDS.
resource "terraform_data" "deletion_protection" {
  input = var.settings.deletion_protection

  provisioner "local-exec" {
    when    = destroy
    command = self.output ? "echo 'Refused: data.deletion_protection is on. Set it to false, deploy, then destroy.' >&2; exit 1" : "true"
    quiet   = true
  }

  depends_on = [
    aws_db_instance.this,
    aws_efs_file_system_policy.models,
    aws_efs_mount_target.models,
    aws_elasticache_replication_group.this,
    aws_kms_alias.compute,
    aws_kms_alias.data,
    aws_kms_alias.logs,
    aws_s3_bucket_lifecycle_configuration.logs,
    aws_s3_bucket_lifecycle_configuration.uploads,
    aws_s3_bucket_logging.uploads,
    aws_s3_bucket_notification.uploads,
    aws_s3_bucket_ownership_controls.logs,
    aws_s3_bucket_ownership_controls.uploads,
    aws_s3_bucket_policy.logs,
    aws_s3_bucket_policy.uploads,
    aws_s3_bucket_server_side_encryption_configuration.logs,
    aws_s3_bucket_server_side_encryption_configuration.uploads,
    aws_secretsmanager_secret.this,
  ]
}
