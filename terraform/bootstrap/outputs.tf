output "artifact_bucket" {
  description = "Bucket of releases and models."
  value       = aws_s3_bucket.artifacts.id
}

output "image_builder_profile" {
  description = "Instance profile for the instance on which the machine image is built."
  value       = aws_iam_instance_profile.image_builder.name
}

output "image_builder_role" {
  description = "Role behind image_builder_profile."
  value       = aws_iam_role.image_builder.name
}

output "state_bucket" {
  description = "Bucket of all Terraform states."
  value       = aws_s3_bucket.state.id
}

output "state_key_arn" {
  description = "Key of the states: kms:Decrypt and kms:GenerateDataKey on it are what a deployment's role needs."
  value       = aws_kms_key.state.arn
}
