variable "all_spot" {
  description = "Whether all instances are spot and none are on-demand. For interruptible work."
  type        = bool
  nullable    = false
}

variable "artifact_bucket" {
  description = "Name of the bucket for releases and model files."
  type        = string
  nullable    = false
}

variable "collection_sha256" {
  description = "SHA-256 digest of the collection with which an instance of this launch template converges."
  type        = string
  nullable    = false
}

variable "contract" {
  description = "The decoded contract/instance.yaml: the names that Terraform and the instance share."
  type = object({
    artifacts       = object({ collection = string, models = string })
    boot            = object({ description = string, program = string })
    lifecycle_hooks = object({ launch = string, terminate = string })
    metrics = object({
      namespace = string
      names     = map(object({ dimensions = list(list(string)) }))
    })
    tags = object({ fleet = string, release = string })
  })
  nullable = false
}

variable "environment" {
  description = "Name of the environment."
  type        = string
  nullable    = false
}

variable "files" {
  description = "IDs and ARN of the shared file system for model files, and the ID of the access point that instances mount."
  type        = object({ access_point_id = string, file_system_arn = string, file_system_id = string })
  nullable    = false
}

variable "image_id" {
  description = "AMI ID of the instances, x86_64."
  type        = string
  nullable    = false
}

variable "instance" {
  description = "Additional data in the instance's description: the endpoint URL of the embedded AWS, and Ansible variables. Empty on AWS."
  type        = object({ endpoint_url = optional(string), variables = optional(any, {}) })
  default     = {}
  nullable    = false
}

variable "key" {
  description = "The fleet's key in the root's variable `fleets`: interactive or batch."
  type        = string
  nullable    = false
}

variable "key_arns" {
  description = "ARNs of the KMS keys: compute encrypts the volumes, data encrypts the secrets and the uploads."
  type        = object({ compute = string, data = string })
  nullable    = false
}

variable "log_group_arns" {
  description = "ARNs of the log groups that an instance writes to."
  type        = object({ gateway = string, instance = string })
  nullable    = false
}

variable "master_secret_arn" {
  description = "ARN of the secret of the database's master user, which RDS creates."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the Auto Scaling group and prefix of the related names."
  type        = string
  nullable    = false
}

variable "parameters" {
  description = "Names of the SSM parameters, by their key in the contract."
  type        = map(string)
  nullable    = false
}

variable "permissions_boundary_arn" {
  description = "ARN of an IAM policy that is the permissions boundary of the instance role. Null: no boundary."
  type        = string
  default     = null
}

variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
}

variable "release" {
  description = "Identifier of the release that this launch template belongs to."
  type        = string
  nullable    = false
}

variable "secret_arns" {
  description = "ARNs of the secrets that an instance reads at boot, by their key in the contract."
  type        = map(string)
  nullable    = false
}

variable "security_group_id" {
  description = "ID of the instances' security group."
  type        = string
  nullable    = false
}

variable "settings" {
  description = "The fleet's settings, as in the root's variable `fleets`."
  type = object({
    desired_size        = number
    drain_seconds       = number
    instance_types      = list(string)
    launch_wait_seconds = number
    max_lifetime_days   = number
    max_size            = number
    min_size            = number
    on_demand_base      = number
    root_volume         = object({ iops = number, size_gib = number, throughput_mibs = number })
    scaling = object({
      cpu_percent                    = number
      inference_load_percent         = number
      requests_per_target_per_minute = number
      warmup_seconds                 = number
    })
    schedule        = map(object({ min_size = number, recurrence = string, time_zone = string }))
    spot_percentage = number
  })
  nullable = false

  validation {
    condition     = var.settings.launch_wait_seconds >= 30 && var.settings.launch_wait_seconds <= 7200
    error_message = "launch_wait_seconds must be 30 to 7200, the range of a lifecycle hook. If a stock image needs longer, bake an image."
  }
  validation {
    condition     = var.settings.max_lifetime_days >= 1 && var.settings.max_lifetime_days <= 365
    error_message = "max_lifetime_days must be 1 to 365, the range of an Auto Scaling group."
  }
  validation {
    condition = alltrue([for percent in [var.settings.scaling.cpu_percent, var.settings.scaling.inference_load_percent] :
    percent > 0 && percent <= 100])
    error_message = "scaling: cpu_percent and inference_load_percent must be greater than 0 and at most 100."
  }
}

variable "subnet_ids" {
  description = "IDs of the instances' private subnets, one per zone, in the order of zones."
  type        = list(string)
  nullable    = false
}

variable "tags" {
  description = "Tags of the instances, volumes, and network interfaces. The provider's default_tags do not apply to them."
  type        = map(string)
  nullable    = false

  validation {
    # Otherwise EC2 refuses to launch an instance, because the metadata service serves each tag as a path.
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[A-Za-z0-9+=.,_:@-]{1,128}$", key)) && !contains([".", "..", "_index"], key)])
    error_message = "tags: the keys ${join(", ", [for key in keys(var.tags) : "\"${key}\"" if !can(regex("^[A-Za-z0-9+=.,_:@-]{1,128}$", key)) || contains([".", "..", "_index"], key)])} cannot be served by the instance metadata service. Use letters, digits, and + - = . , _ : @, without spaces and slashes."
  }
}

variable "target_group" {
  description = "Target group that the instances join. request_label is app/<balancer>/<id>/targetgroup/<group>/<id>."
  type        = object({ arn = string, arn_suffix = string, request_label = string })
  nullable    = false
}

variable "uploads_bucket" {
  description = "ARN of the bucket for Open WebUI's uploads."
  type        = object({ arn = string })
  nullable    = false
}

variable "zones" {
  description = "Availability zones of the subnets."
  type        = list(string)
  nullable    = false
}
