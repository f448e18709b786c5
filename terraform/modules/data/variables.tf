variable "access_log_days" {
  description = "Retention of access logs, database logs, and cache logs, in days."
  type        = number
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.access_log_days)
    error_message = "access_log_days must be a retention period that CloudWatch Logs supports: 30, 60, 90, 120, 150, 180, 365, 400, 545, or 731."
  }
}

variable "cache_port" {
  description = "Port of the cache."
  type        = number
  nullable    = false
}

variable "database_port" {
  description = "Port of the database."
  type        = number
  nullable    = false
}

variable "environment" {
  description = "Name of the environment, used in the descriptions of the resources."
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

variable "region" {
  description = "AWS region. It is part of the bucket names and of the key policies."
  type        = string
  nullable    = false
}

variable "secret_names" {
  description = "Names of the secrets, by their key in the contract."
  type        = map(string)
  nullable    = false
}

variable "security_group_ids" {
  description = "IDs of the security groups that let only the instances reach each store."
  type = object({
    cache    = string
    database = string
    files    = string
  })
  nullable = false
}

variable "settings" {
  description = "Sizes and deletion protection of the stores: the root's variable `data`."
  type = object({
    backup_copy_vault_arn          = string
    backup_retention_days          = number
    cache_node_type                = string
    cache_replicas                 = number
    database_instance_class        = string
    database_max_storage_gib       = number
    database_storage_gib           = number
    deletion_protection            = bool
    uploads_expire_noncurrent_days = number
  })
  nullable = false
}

variable "subnet_ids" {
  description = "IDs of the data subnets, one per zone. EFS allows one mount target per zone."
  type        = list(string)
  nullable    = false
}
