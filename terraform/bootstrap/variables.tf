variable "force_destroy" {
  description = "Let the buckets be destroyed with everything in them. Only for accounts that are thrown away, such as the embedded one."
  type        = bool
  default     = false
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "IAM policy that bounds every role made here. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn must be the ARN of an IAM policy, arn:aws:iam::123456789012:policy/name."
  }
}

variable "region" {
  description = "AWS region, for example us-east-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region's code, such as us-east-1 or eu-central-1."
  }
}

variable "tags" {
  description = "Further tags for every resource, such as a cost centre."
  type        = map(string)
  default     = {}
  nullable    = false
}
