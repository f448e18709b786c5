# Containers only. The driver fills each once, and no version is a resource here, so no secret reaches the state.
resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57: the session key and the tokens are changed together with their users by the driver; a rotation behind their back signs everyone out
  for_each = var.secret_names

  name                    = each.value
  description             = "${each.key} of ${var.environment}; filled by ollama-gpu, read by instances at boot"
  kms_key_id              = aws_kms_key.data.arn
  recovery_window_in_days = var.settings.deletion_protection ? 30 : 0
}
