# Secrets without values. The driver fills each secret once. No secret version is a resource here, so no secret value is in the
# state.
resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57: the driver changes the session key and the tokens together with the services that use them; an automatic rotation would sign everyone out
  for_each = var.secret_names

  name                    = each.value
  description             = "${each.key} of ${var.environment}; filled by ollama-gpu, read by instances at boot"
  kms_key_id              = aws_kms_key.data.arn
  recovery_window_in_days = var.settings.deletion_protection ? 30 : 0
}
