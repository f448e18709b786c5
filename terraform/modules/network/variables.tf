variable "cidr" {
  description = "IPv4 range of the new VPC, /16 to /20. Not used if `existing` is set."
  type        = string
  nullable    = false
}

variable "client_cidrs" {
  description = "IPv4 ranges that may reach the load balancer."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(distinct(var.client_cidrs)) <= 30
    error_message = "edge.client_cidrs has more than 30 ranges. Each range takes two of a security group's 60 rules (443 and 80). Join neighboring ranges into shorter prefixes."
  }
}

variable "existing" {
  description = <<-EOT
    An existing VPC and its subnets instead of new ones: one subnet of each kind in every zone to use. Nothing in the VPC is
    created or changed, except security groups. The private subnets must already reach the internet through a NAT gateway or
    a firewall.
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
  description = "Name of the log group for the VPC flow log."
  type        = string
  nullable    = false
}

variable "flow_log_retention_days" {
  description = "Retention of flow log records, in days. It must be a period that CloudWatch Logs supports."
  type        = number
  nullable    = false
}

variable "kms_key_arn" {
  description = "ARN of the KMS key for the flow log's log group."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Prefix of every name, such as ollama-gpu-prod."
  type        = string
  nullable    = false
}

variable "nat_per_zone" {
  description = "True: one NAT gateway per zone, so that no zone depends on another. False: one NAT gateway for all zones, which costs less."
  type        = bool
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of an IAM policy that is the permissions boundary of the flow log's role. Null: no boundary."
  type        = string
  default     = null
}

variable "ports" {
  description = "The ports in the contract: at least front_door, database, cache, and files."
  type        = map(number)
  nullable    = false
}

variable "region" {
  description = "AWS region. It is part of the endpoints' service names."
  type        = string
  nullable    = false
}

variable "ssh_cidrs" {
  description = "IPv4 ranges that may reach port 22 of the instances. Empty: no such rule; administrators use Session Manager."
  type        = list(string)
  nullable    = false
}

variable "zone_count" {
  description = "Number of the region's availability zones to use if `zones` is empty."
  type        = number
  nullable    = false
}

variable "zones" {
  description = "Names of the availability zones. Append new zones at the end: the position of a zone determines its subnets' ranges."
  type        = list(string)
  nullable    = false
}
