variable "access_log_bucket" {
  description = "Name of the S3 bucket for the access logs. Its policy must already let Elastic Load Balancing write, or AWS refuses the load balancer."
  type        = string
  nullable    = false
}

variable "deletion_protection" {
  description = "Protect the load balancer from deletion."
  type        = bool
  nullable    = false
}

variable "health_path" {
  description = "Path of the targets' health check. It is hidden from clients."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the load balancer and prefix of all other names, such as ollama-gpu-prod. At most 23 characters."
  type        = string
  nullable    = false
}

variable "port" {
  description = "TLS port of the gateway on an instance."
  type        = number
  nullable    = false
}

variable "routes" {
  description = <<-EOT
    Routing of each fleet, which has a target group of its own. `interactive` receives all requests that match no other fleet.
    Every other fleet needs hosts, the values of a header, or both. If it has both, a request must match both.
  EOT
  type = map(object({
    header_name   = string
    header_values = list(string)
    hosts         = list(string)
  }))
  nullable = false

  validation {
    condition     = alltrue([for key, route in var.routes : key == "interactive" || try(length(route.hosts) + length(route.header_values) <= 5, false)])
    error_message = "fleets: routing.hosts and routing.header_values may have five values in total, the limit of a listener rule. Use a wildcard such as batch-*.example.org."
  }
}

variable "security_group_id" {
  description = "ID of the load balancer's security group."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "The root's variable `edge`. Durations are in seconds."
  type = object({
    certificate_arn           = string
    domain                    = object({ name = string, zone = string })
    health_check_interval     = number
    health_check_timeout      = number
    healthy_threshold         = number
    idle_timeout              = number
    internal                  = bool
    public_name               = string
    requests_per_five_minutes = number
    stickiness                = number
    unhealthy_threshold       = number
  })
  nullable = false
}

variable "subnet_ids" {
  description = "IDs of the load balancer's subnets, one per zone: public subnets, or private ones if the load balancer is internal."
  type        = list(string)
  nullable    = false
}

variable "vpc_id" {
  description = "ID of the targets' VPC."
  type        = string
  nullable    = false
}

variable "waf_log_group" {
  description = "Name of the firewall's log group. AWS requires the prefix aws-waf-logs-."
  type        = string
  nullable    = false
}

variable "waf_log_key_arn" {
  description = "ARN of the KMS key for the firewall's log group."
  type        = string
  nullable    = false
}
