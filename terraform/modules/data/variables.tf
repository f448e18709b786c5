variable "access_log_days" {
  description = "How long access logs, database logs and cache logs are kept, in days."
  type        = number
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.access_log_days)
    error_message = "access_log_days must be a retention that CloudWatch Logs knows: 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
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
  description = "Name of the environment, for descriptions that a person reads in the console."
  type        = string
  nullable    = false
}

variable "name" {
  description = "First part of every name, for example ollama-gpu-prod."
  type        = string
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "IAM policy that bounds every role made here. Null: none."
  type        = string
  default     = null
}

variable "region" {
  description = "AWS region, part of the buckets' names and of the keys' policies."
  type        = string
  nullable    = false
}

variable "secret_names" {
  description = "Names of the secrets, by the contract's key."
  type        = map(string)
  nullable    = false
}

variable "security_group_ids" {
  description = "Security groups that let the instances, and nobody else, reach each store."
  type = object({
    cache    = string
    database = string
    files    = string
  })
  nullable = false
}

variable "settings" {
  description = "Sizes and protection of the stores: the root's variable `data`."
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
  description = "Data subnets, one in each zone: EFS allows one mount target in a zone."
  type        = list(string)
  nullable    = false
}
