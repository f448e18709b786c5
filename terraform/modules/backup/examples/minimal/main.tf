module "backup" {
  source = "../.."

  database_settings = {
    DBParameterGroupName = "ollama-gpu-demo-database-postgres16"
    DBSubnetGroupName    = "ollama-gpu-demo-database"
    VpcSecurityGroupIds  = jsonencode(["sg-0123456789abcdef0"])
  }
  force_destroy   = false
  kms_key_arn     = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  name            = "ollama-gpu-demo"
  resource_arns   = ["arn:aws:rds:us-east-1:123456789012:db:ollama-gpu-demo-database"]
  restore_testing = true
  retention_days  = 35
  topic_arn       = "arn:aws:sns:us-east-1:123456789012:ollama-gpu-demo-alarms"
  vault_name      = "ollama-gpu-demo-vault"
}
