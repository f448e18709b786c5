variable "cidr" {
  description = "IPv4 range of the new VPC, /16 to /20. Not used with `existing`."
  type        = string
  nullable    = false
}

variable "client_cidrs" {
  description = "IPv4 ranges that may reach the load balancer."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.client_cidrs)) <= 30
    error_message = "edge.client_cidrs holds more than 30 ranges; each takes two of a security group's 60 rules (443 and 80). Join neighbouring ranges into shorter prefixes."
  }
}

variable "existing" {
  description = <<-EOT
    An existing VPC and its subnets instead of new ones: one subnet of each kind in every zone that is to be used. Nothing
    of the VPC is made or changed; the private subnets must already reach the internet through a NAT gateway or a firewall.
  EOT
  type = object({
    data_subnet_ids    = list(string)
    private_subnet_ids = list(string)
    public_subnet_ids  = list(string)
    vpc_id             = string
  })
  default = null
}

variable "flow_log_group" {
  description = "Name of the log group that the VPC's flow log is written to."
  type        = string
  nullable    = false
}

variable "flow_log_retention_days" {
  description = "Days that flow log records are kept; one of the periods that CloudWatch Logs knows."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key of the flow log's log group."
  type        = string
  nullable    = false
}

variable "name" {
  description = "First part of every name made here, such as ollama-gpu-prod."
  type        = string
  nullable    = false
}

variable "nat_per_zone" {
  description = "A NAT gateway in every zone, so that no zone depends on another; false: one for all, which is cheaper."
  type        = bool
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "IAM policy that bounds the flow log's role. Null: none."
  type        = string
  default     = null
}

variable "ports" {
  description = "The contract's ports: at least front_door, database, cache and files."
  type        = map(number)
  nullable    = false
}

variable "region" {
  description = "AWS region, part of the endpoints' service names."
  type        = string
  nullable    = false
}

variable "ssh_cidrs" {
  description = "IPv4 ranges that may reach port 22 of the instances. Empty: no rule at all; administrators use Session Manager."
  type        = list(string)
  nullable    = false
}

variable "zone_count" {
  description = "How many of the region's availability zones to use when `zones` is empty."
  type        = number
  nullable    = false
}

variable "zones" {
  description = "Availability zones by name. Append new ones: a zone's place in the list fixes its subnets' ranges."
  type        = list(string)
  nullable    = false
}
