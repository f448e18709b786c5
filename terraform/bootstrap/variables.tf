variable "force_destroy" {
  description = "Allow the buckets to be destroyed with all objects in them. Only for throwaway accounts, such as the embedded one."
  type        = bool
  default     = false
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of an IAM policy that is the permissions boundary of every role created here. Null: no boundary."
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
    error_message = "region must be the code of an AWS region, such as us-east-1 or eu-central-1."
  }
  validation {
    condition     = !can(regex("^(cn|us-gov|us-iso|us-isob|us-isof|eu-isoe|eusc)-", var.region))
    error_message = "region is in another AWS partition (China, GovCloud, sovereign or isolated regions), whose service names and endpoints differ. Use a region of the partition aws, such as us-east-1."
  }
}

variable "tags" {
  description = "Additional tags for every resource, such as a cost center."
  type        = map(string)
  default     = {}
  nullable    = false
}
