variable "copy_vault_arn" {
  description = "ARN of a vault in another region or account that receives a copy of each daily backup. Null: no copy."
  type        = string
  default     = null
}

variable "database_settings" {
  description = "Parameter group, subnet group, and security groups (as a JSON list) of a restored database, by the names of AWS Backup's restore metadata."
  type = object({
    DBParameterGroupName = string
    DBSubnetGroupName    = string
    VpcSecurityGroupIds  = string
  })
  nullable = false
}

variable "force_destroy" {
  description = "Allow the vault to be destroyed with the backups in it. Only for environments without data worth keeping."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts the backups."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Prefix of every name, for example ollama-gpu-prod."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of an IAM policy that is the permissions boundary of every role created here. Null: no boundary."
  type        = string
  default     = null
}

variable "resource_arns" {
  description = "ARNs of the resources to back up: a database, a file system, a bucket."
  type        = list(string)
  nullable    = false
}

variable "restore_testing" {
  description = "Restore the newest backups every week to prove that they are usable."
  type        = bool
  nullable    = false
}

variable "retention_days" {
  description = "Retention of the backups, in days."
  type        = number
  nullable    = false
}

variable "snapshot_only_arns" {
  description = "ARNs of resources that are backed up daily but not continuously. They are shared with other environments, and AWS Backup keeps only one continuous backup of a bucket."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "topic_arn" {
  description = "ARN of the SNS topic for failures that AWS Backup has no metric for."
  type        = string
  nullable    = false
}

variable "vault_name" {
  description = "Name of the vault."
  type        = string
  nullable    = false
}
