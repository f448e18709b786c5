# S3 refuses to delete a bucket that is not empty. By then, however, Terraform has already deleted the bucket's policy and
# scheduled its key for deletion, and without the key all states are lost. prevent_destroy cannot depend on a variable. So this
# resource refuses first: everything else is destroyed after it. To remove the bootstrap resources, apply with force_destroy =
# true, then destroy.
resource "terraform_data" "deletion_protection" {
  input = !var.force_destroy

  provisioner "local-exec" {
    when    = destroy
    command = self.output ? "echo 'Refused: these buckets hold the states of all environments. Apply with force_destroy = true, then destroy.' >&2; exit 1" : "true"
    quiet   = true
  }

  depends_on = [
    aws_iam_instance_profile.image_builder,
    aws_iam_role_policy.image_builder,
    aws_iam_role_policy_attachment.image_builder_session,
    aws_kms_alias.state,
    aws_s3_bucket_lifecycle_configuration.artifacts,
    aws_s3_bucket_lifecycle_configuration.state,
    aws_s3_bucket_ownership_controls.artifacts,
    aws_s3_bucket_ownership_controls.state,
    aws_s3_bucket_policy.artifacts,
    aws_s3_bucket_policy.state,
    aws_s3_bucket_server_side_encryption_configuration.artifacts,
    aws_s3_bucket_server_side_encryption_configuration.state,
  ]
}
