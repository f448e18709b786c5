output "artifact_bucket" {
  description = "Name of the bucket for releases and models."
  value       = aws_s3_bucket.artifacts.id
}

output "image_builder_profile" {
  description = "Name of the instance profile of the instance that builds the machine image."
  value       = aws_iam_instance_profile.image_builder.name
}

output "image_builder_role" {
  description = "Name of the role in image_builder_profile."
  value       = aws_iam_role.image_builder.name
}

output "state_bucket" {
  description = "Name of the bucket for all Terraform states."
  value       = aws_s3_bucket.state.id
}

output "state_key_arn" {
  description = "ARN of the key that encrypts the states. The role that deploys needs kms:Decrypt and kms:GenerateDataKey on it."
  value       = aws_kms_key.state.arn
}
