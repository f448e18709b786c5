variable "access_log_bucket" {
  description = "S3 bucket that takes the access logs. Its policy must already let Elastic Load Balancing write, or AWS refuses the load balancer."
  type        = string
  nullable    = false
}

variable "deletion_protection" {
  description = "Refuse the deletion of the load balancer."
  type        = bool
  nullable    = false
}

variable "health_path" {
  description = "Path that the load balancer asks of the targets, and that it hides from clients."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the load balancer and first part of every other name, such as ollama-gpu-prod. At most 23 characters."
  type        = string
  nullable    = false
}

variable "port" {
  description = "Port of the gateway on an instance, TLS."
  type        = number
  nullable    = false
}

variable "routes" {
  description = <<-EOT
    A target group per fleet. `interactive` gets what nobody else claims; every other fleet names hosts, a header's values, or
    both, and then both must match.
  EOT
  type = map(object({
    header_name   = string
    header_values = list(string)
    hosts         = list(string)
  }))
  nullable = false

  validation {
    condition     = alltrue([for key, route in var.routes : key == "interactive" || try(length(route.hosts) + length(route.header_values) <= 5, false)])
    error_message = "fleets: routing.hosts and routing.header_values together may hold five values, the limit of a listener rule. Use a wildcard such as batch-*.example.org."
  }
}

variable "security_group_id" {
  description = "Security group of the load balancer."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "The root's `edge`, described there. Durations in seconds."
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
  description = "Subnets of the load balancer, one per zone: public ones, or private ones when internal."
  type        = list(string)
  nullable    = false
}

variable "vpc_id" {
  description = "VPC of the targets."
  type        = string
  nullable    = false
}

variable "waf_log_group" {
  description = "Name of the log group of the firewall; AWS demands that it begins with aws-waf-logs-."
  type        = string
  nullable    = false
}

variable "waf_log_key_arn" {
  description = "KMS key of the firewall's log group."
  type        = string
  nullable    = false
}
