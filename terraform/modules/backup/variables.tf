variable "copy_vault_arn" {
  description = "A vault in another region or account that receives a copy of each daily backup. Null: none."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Let the vault be destroyed with the backups in it. Only where nothing is worth keeping."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "Key that encrypts the backups."
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

variable "resource_arns" {
  description = "What to back up: a database, a file system, a bucket."
  type        = list(string)
  nullable    = false
}

variable "restore_testing" {
  description = "Restore the newest backups every week, to prove that they can be."
  type        = bool
  nullable    = false
}

variable "retention_days" {
  description = "How long a backup is kept, in days."
  type        = number
  nullable    = false
}

variable "snapshot_only_arns" {
  description = "Backed up daily but not continuously: shared with other environments, and AWS Backup keeps one continuous backup of a bucket."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "topic_arn" {
  description = "SNS topic that is told of failures for which AWS Backup has no metric."
  type        = string
  nullable    = false
}
