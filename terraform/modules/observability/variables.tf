variable "backup_vault_name" {
  description = "Name of the vault whose failed jobs fire alarms."
  type        = string
  nullable    = false
}

variable "contract" {
  description = "The contract with the instances (contract/instance.yaml), the only source of custom metric names."
  type = object({
    metrics = object({
      namespace = string
      names = map(object({
        dimensions = list(list(string))
        unit       = string
      }))
    })
  })
  nullable = false
}

variable "data" {
  description = "Identifiers of the data stores, as CloudWatch dimension values."
  type = object({
    cache_cluster_ids = list(string)
    database_id       = string
    file_system_id    = string
  })
  nullable = false
}

variable "environment" {
  description = "Name of the environment. It is in the title of the dashboard."
  type        = string
  nullable    = false
}

variable "fleets" {
  description = "The fleets of GPU instances. `interactive` serves users; any other fleet may have 0 instances."
  type = map(object({
    group_name = string
    max_size   = number
  }))
  nullable = false
}

variable "kms_key_arn" {
  description = "ARN of the key for the log groups and the topic. Its policy must allow logs, cloudwatch, events, backup, and budgets to use it (see topic.tf)."
  type        = string
  nullable    = false
}

variable "load_balancer" {
  description = "The load balancer, as a CloudWatch dimension value."
  type = object({
    arn_suffix = string
  })
  nullable = false
}

variable "log_groups" {
  description = "Names of the log groups to create."
  type = object({
    events   = string
    gateway  = string
    instance = string
  })
  nullable = false

  validation {
    condition     = startswith(var.log_groups.events, "/aws/events/")
    error_message = "log_groups.events must start with /aws/events/, because EventBridge writes to no other group. Correct log_groups.events in contract/instance.yaml."
  }
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the dashboard's metrics and of its URL."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "Notification addresses and thresholds (the root's variable `alarms`)."
  type = object({
    database_connections            = number
    database_free_storage_gib       = number
    emails                          = list(string)
    error_percent                   = number
    gpu_memory_percent              = number
    gpu_temperature_celsius         = number
    gpu_utilization_percent         = number
    monthly_budget_usd              = optional(number)
    notification_requires_composite = bool
    queued_per_instance             = number
    request_latency_p95_ms          = number
    time_to_first_token_p95_ms      = number
  })
  nullable = false
}

variable "target_groups" {
  description = "Target group of each fleet, as a CloudWatch dimension value."
  type = map(object({
    arn_suffix = string
  }))
  nullable = false
}
