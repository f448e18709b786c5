variable "alarms" {
  description = "Notification addresses and alarm thresholds. Latencies are in milliseconds, shares in percent, temperatures in degrees Celsius."
  type = object({
    emails                          = optional(list(string), []) # addresses that get a notification of every alarm
    time_to_first_token_p95_ms      = optional(number, 2000)     # requirement 1.5: typical queries answer in under 2 s
    request_latency_p95_ms          = optional(number, 2000)     # until the load balancer's response begins
    error_percent                   = optional(number, 2)        # server errors (5xx) among the requests at the load balancer
    queued_per_instance             = optional(number, 8)        # average number of requests that wait for a slot
    gpu_memory_percent              = optional(number, 95)       # memory in use on the fullest GPU
    gpu_temperature_celsius         = optional(number, 85)       # T4 and A10G throttle at about 88
    gpu_utilization_percent         = optional(number, 95)       # average over the fleet's GPUs, for 15 minutes
    monthly_budget_usd              = optional(number)           # null: no budget is created
    database_connections            = optional(number)           # open connections; null: 80 % of what the class takes (800 if unknown)
    database_free_storage_gib       = optional(number)           # the alarm fires below this; null: 5 % of data.database_storage_gib
    notification_requires_composite = optional(bool, false)      # true: the user-facing alarms notify only through the composite alarm
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for address in var.alarms.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", address))])
    error_message = "alarms.emails contains an entry that is not an e-mail address. Write each address as name@example.org."
  }
  validation {
    condition     = var.alarms.monthly_budget_usd == null ? true : var.alarms.monthly_budget_usd > 0
    error_message = "alarms.monthly_budget_usd must be greater than 0 (US dollars per month). Omit it for no budget."
  }
}

variable "collection_sha256" {
  description = "Set by the driver: SHA-256 digest of the release's collection in the artifact bucket. Instances converge with this collection."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.collection_sha256 == "" || can(regex("^[0-9a-f]{64}$", var.collection_sha256))
    error_message = "collection_sha256 must be 64 hexadecimal digits. Deploy with `make deploy`, which builds the collection and sets it."
  }
}

variable "data" {
  description = "Stores that outlive the instances: database, cache, uploads, model files, and their backups."
  type = object({
    backup_copy_vault_arn          = optional(string)                    # a vault in another region or account, for disaster recovery
    backup_retention_days          = optional(number, 35)                # 1 to 35
    cache_node_type                = optional(string, "cache.r7g.large") # ElastiCache node type
    cache_replicas                 = optional(number, 1)                 # 1 to 5
    database_instance_class        = optional(string, "db.r6g.xlarge")   # RDS instance class
    database_max_storage_gib       = optional(number, 1000)              # limit of storage autoscaling
    database_storage_gib           = optional(number, 100)               # initial storage
    deletion_protection            = optional(bool, true)                # false: `make destroy` deletes all data
    restore_testing                = optional(bool, true)                # restore the newest backups every week to prove that they are usable
    uploads_expire_noncurrent_days = optional(number, 90)                # days until an overwritten or deleted upload is removed
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.data.cache_replicas >= 1 && var.data.cache_replicas <= 5
    error_message = "data.cache_replicas must be 1 to 5: automatic failover needs at least one replica."
  }
  validation {
    condition     = var.data.database_storage_gib >= 20 && var.data.database_max_storage_gib > var.data.database_storage_gib
    error_message = "data.database_storage_gib must be at least 20, and data.database_max_storage_gib must be greater, so that the storage can grow."
  }
  validation {
    condition     = var.data.backup_retention_days >= 1 && var.data.backup_retention_days <= 35
    error_message = "data.backup_retention_days must be 1 to 35. AWS keeps continuous backups for at most 35 days."
  }
}

variable "edge" {
  description = "The front door: client ranges, domain name, certificate, and load balancer settings. Durations are in seconds."
  type = object({
    certificate_arn           = optional(string)                                   # an existing ACM certificate; if null, one is created for domain
    client_cidrs              = optional(list(string), ["0.0.0.0/0"])              # IPv4 ranges that may reach the load balancer
    domain                    = optional(object({ name = string, zone = string })) # name is inside the Route 53 zone
    health_check_interval     = optional(number, 5)                                # 5 to 300
    health_check_timeout      = optional(number, 4)                                # less than the interval
    healthy_threshold         = optional(number, 2)                                # passed checks until an instance gets requests
    idle_timeout              = optional(number, 360)                              # the load balancer closes a connection that is silent for longer
    internal                  = optional(bool, false)                              # true: the load balancer is in the private subnets
    public_name               = optional(string)                                   # the host name that users open when its DNS is not in Route 53
    requests_per_five_minutes = optional(number, 10000)                            # per client address; an office shares one address
    stickiness                = optional(number, 86400)                            # how long a cookie keeps a user on the same instance
    stream_limit              = optional(number, 300)                              # the gateway ends a stream that is silent for longer
    unhealthy_threshold       = optional(number, 3)                                # failed checks until an instance gets no requests
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.edge.certificate_arn != null || var.edge.domain != null
    error_message = "No certificate. Set edge.domain = { name = \"chat.example.org\", zone = \"example.org\" } to have a certificate created and validated in Route 53, or set edge.certificate_arn to an existing ACM certificate."
  }
  validation {
    condition     = var.edge.certificate_arn == null || can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.edge.certificate_arn))
    error_message = "edge.certificate_arn is not the ARN of an ACM certificate. Copy it from `aws acm list-certificates` in the environment's region."
  }
  validation {
    condition     = var.edge.domain == null || try(var.edge.domain.name == var.edge.domain.zone || endswith(var.edge.domain.name, ".${var.edge.domain.zone}"), false)
    error_message = "edge.domain.name must be inside edge.domain.zone, for example chat.example.org in example.org."
  }
  validation {
    condition     = var.edge.health_check_timeout < var.edge.health_check_interval
    error_message = "edge.health_check_timeout must be less than edge.health_check_interval. Shorten the timeout or lengthen the interval."
  }
  validation {
    condition     = var.edge.health_check_interval >= 5 && var.edge.health_check_interval <= 300 && var.edge.health_check_timeout >= 2
    error_message = "edge.health_check_interval must be 5 to 300 seconds and edge.health_check_timeout at least 2."
  }
  validation {
    condition     = alltrue([for threshold in [var.edge.healthy_threshold, var.edge.unhealthy_threshold] : threshold >= 2 && threshold <= 10])
    error_message = "edge.healthy_threshold and edge.unhealthy_threshold must be 2 to 10 checks, the range of the load balancer."
  }
  validation {
    condition     = var.edge.idle_timeout > var.edge.stream_limit && var.edge.idle_timeout <= 4000
    error_message = "edge.idle_timeout must be greater than edge.stream_limit and at most 4000 seconds. Otherwise the load balancer closes a silent stream before the gateway ends it."
  }
  validation {
    condition     = length(var.edge.client_cidrs) > 0 && alltrue([for cidr in var.edge.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "edge.client_cidrs must contain at least one IPv4 range, such as 203.0.113.0/24. Use 0.0.0.0/0 to open the front door to everyone."
  }
  validation {
    # Each range needs two rules (443, and the redirect on 80), and a security group holds 60 rules.
    condition     = length(var.edge.client_cidrs) <= 30
    error_message = "edge.client_cidrs has more than 30 ranges, the maximum for a security group. Summarize them into fewer ranges."
  }
  validation {
    condition     = var.edge.stickiness >= 1 && var.edge.stickiness <= 604800
    error_message = "edge.stickiness must be 1 to 604800 seconds (7 days)."
  }
}

variable "environment" {
  description = "Name of the environment: local, dev, staging, prod, or your own. It is part of every resource name and of the key of the state."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,11}$", var.environment)) && !endswith(var.environment, "-")
    error_message = "environment must be 2 to 12 lowercase letters, digits, or dashes, and must start with a letter. A load balancer's name is limited to 32 characters."
  }
}

variable "fleets" {
  description = <<-EOT
    Groups of GPU instances. `interactive` serves users and always exists. `batch` serves non-critical work on spot instances
    and exists only if spot_enabled is true. Sizes are numbers of instances. instance_types is in order of preference.
  EOT
  type = map(object({
    instance_types = list(string)     # in order of preference
    min_size       = number           # interactive: at least 2; batch: 0 or 1
    max_size       = number           # the hard cost limit
    desired_size   = optional(number) # only for the first deployment; scaling manages it afterwards

    on_demand_base  = optional(number, 2) # instances that are never spot
    spot_percentage = optional(number, 0) # percentage of spot above the base; requires spot_enabled

    routing = optional(object({                          # batch: the requests that the fleet serves
      header_name   = optional(string, "X-Ollama-Fleet") # request header that selects the fleet
      header_values = optional(list(string), [])         # values of the header
      hosts         = optional(list(string), [])         # host names that select the fleet
    }))

    scaling = optional(object({
      cpu_percent                    = optional(number, 60)  # target of the average CPU utilization
      inference_load_percent         = optional(number, 70)  # target of (in flight + queued) / slots
      requests_per_target_per_minute = optional(number, 600) # target of the load balancer's requests
      warmup_seconds                 = optional(number, 300) # time for which a new instance is excluded from the averages
    }), {})
    schedule = optional(map(object({ # for example office hours: a higher minimum starting at each recurrence
      min_size   = number            # the fleet's minimum from this time on
      recurrence = string            # cron expression, in time_zone
      time_zone  = optional(string, "Etc/UTC")
    })), {})

    root_volume = optional(object({
      size_gib        = optional(number, 200)  # at least 50
      iops            = optional(number, 6000) # 3000 to 16000
      throughput_mibs = optional(number, 500)  # g4dn and g5.xlarge read at most 437 MB/s
    }), {})
    drain_seconds       = optional(number, 110)  # a spot notice leaves 120
    launch_wait_seconds = optional(number, 1800) # long enough for a stock image to converge; a baked image takes minutes
    max_lifetime_days   = optional(number, 30)   # instances are replaced after this time
  }))
  nullable = false

  validation {
    condition     = contains(keys(var.fleets), "interactive") && length(setsubtract(keys(var.fleets), ["interactive", "batch"])) == 0
    error_message = "fleets must contain `interactive`, may contain `batch`, and nothing else."
  }
  validation {
    condition = alltrue([for fleet in var.fleets : length(fleet.instance_types) > 0 && alltrue([
      for type in fleet.instance_types : can(regex("^(g4dn|g5|g6|g6e|p3)\\.", type))
    ])])
    error_message = "fleets: instance_types must be in the NVIDIA families g4dn, g5, g6, g6e, or p3, for example g5.2xlarge. Not supported: ${join(", ", distinct(flatten([for fleet in var.fleets : [for type in fleet.instance_types : type if !can(regex("^(g4dn|g5|g6|g6e|p3)\\.", type))]])))}."
  }
  validation {
    condition     = try(var.fleets["interactive"].min_size, 2) >= 2
    error_message = "fleets.interactive.min_size must be at least 2, so that one instance can fail without an outage."
  }
  validation {
    condition     = alltrue([for name, fleet in var.fleets : name == "interactive" || contains([0, 1], fleet.min_size)])
    error_message = "fleets.batch.min_size must be 0 or 1. Batch work can wait, so more idle spot instances would be wasted."
  }
  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.max_size >= fleet.min_size && fleet.max_size >= 1])
    error_message = "fleets: max_size is below min_size (or below 1). Raise max_size, which is the hard cost limit, or lower min_size."
  }
  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.desired_size == null || try(fleet.desired_size >= fleet.min_size && fleet.desired_size <= fleet.max_size, false)])
    error_message = "fleets: desired_size is not between min_size and max_size. Omit it to start at min_size."
  }
  validation {
    condition     = try(var.fleets["interactive"].on_demand_base, 2) >= 2
    error_message = "fleets.interactive.on_demand_base must be at least 2, so that two instances remain if AWS reclaims every spot instance at once."
  }
  validation {
    condition     = try(var.fleets["interactive"].spot_percentage, 0) >= 0 && try(var.fleets["interactive"].spot_percentage, 0) <= 100
    error_message = "fleets.interactive.spot_percentage must be 0 to 100. It is the percentage of spot instances above on_demand_base."
  }
  validation {
    condition     = var.spot_enabled || try(var.fleets["interactive"].spot_percentage, 0) == 0
    error_message = "fleets.interactive.spot_percentage is greater than 0 but spot is off. Set spot_enabled = true, or set the percentage to 0 for on-demand only."
  }
  validation {
    condition     = alltrue([for name, fleet in var.fleets : name == "interactive" || try(length(fleet.routing.hosts) + length(fleet.routing.header_values) > 0, false)])
    error_message = "fleets.batch.routing must name hosts or header_values. Otherwise no request reaches the fleet."
  }
  validation {
    condition     = alltrue(flatten([for fleet in var.fleets : [for entry in fleet.schedule : entry.min_size >= fleet.min_size && entry.min_size <= fleet.max_size]]))
    error_message = "fleets: the min_size of a schedule is not between the fleet's min_size and max_size."
  }
  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.drain_seconds > 0 && fleet.drain_seconds < 120])
    error_message = "fleets: drain_seconds must be 1 to 119. A spot notice leaves two minutes, regardless of the lifecycle hook."
  }
  validation {
    condition = alltrue([for fleet in var.fleets : fleet.root_volume.size_gib >= 50 && fleet.root_volume.iops >= 3000 && fleet.root_volume.iops <= 16000
    && fleet.root_volume.throughput_mibs >= 125 && fleet.root_volume.throughput_mibs <= 1000 && fleet.root_volume.throughput_mibs <= fleet.root_volume.iops / 4])
    error_message = "fleets: root_volume exceeds the limits of gp3: size_gib at least 50, iops 3000 to 16000, throughput_mibs 125 to 1000 and at most a quarter of iops."
  }
}

variable "image_id" {
  description = "AMI of the instances. Null: the image ID in the SSM parameter that the bake publishes (contract: parameters.image)."
  type        = string
  default     = null

  validation {
    condition     = var.image_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.image_id))
    error_message = "image_id must look like ami-0123456789abcdef0. Omit it to use the image ID in the environment's SSM parameter."
  }
}

variable "instance" {
  description = "Set by the driver: the environment's role variables (inventories/<env>/group_vars), so that a boot uses the same configuration as the bake. For the environment local, also the endpoint URL of the embedded AWS."
  type = object({
    endpoint_url = optional(string)  # URL of the embedded AWS; only for the environment local
    variables    = optional(any, {}) # a map; the values can have any type, as in Ansible
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.environment == "local" || var.instance.endpoint_url == null
    error_message = "instance.endpoint_url is only for the environment local. On AWS, each service has its own endpoint. Omit it."
  }
  validation {
    # No instance may fall back to the CPU silently: this one variable would turn off the GPU check of a whole
    # environment.
    condition     = var.environment == "local" || try(tobool(var.instance.variables.ollama_require_gpu), true)
    error_message = "ollama_require_gpu must not be false outside the environment local, because the instances would serve from their CPUs. Remove it from the inventory's group_vars."
  }
  validation {
    condition     = can(keys(var.instance.variables))
    error_message = "instance.variables must be a map of Ansible variables, for example { ollama_require_gpu = false }."
  }
}

variable "models" {
  description = "Used by the driver: the model set of `make models PUBLISH=default`, in Ollama's notation (NAME or NAME@sha256:...). The model set that is being served is in an SSM parameter (contract: parameters.models)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.models : can(regex("^[A-Za-z0-9_][A-Za-z0-9_./:-]*(@sha256:[0-9a-f]{64})?$", name))])
    error_message = "models must be names in Ollama's notation, for example [\"gemma3:4b\"] or [\"gemma3:4b@sha256:<64 digits>\"]."
  }
}

variable "network" {
  description = "A new VPC across `zones` (or across the first `zone_count` zones of the region), or an existing VPC."
  type = object({
    cidr = optional(string, "10.40.0.0/16") # range of the new VPC, /16 to /20
    existing = optional(object({            # an existing VPC and its subnets, one of each kind per zone
      data_subnet_ids    = list(string)
      private_subnet_ids = list(string)
      public_subnet_ids  = list(string)
      vpc_id             = string
    }))
    flow_log_retention_days = optional(number, 90)       # a period that CloudWatch Logs supports
    nat_per_zone            = optional(bool, true)       # false: one NAT gateway for all zones, which costs less
    reserved_cidrs          = optional(list(string), []) # ranges that the VPC must not overlap: offices, peered networks
    ssh_cidrs               = optional(list(string), []) # empty: administrators use Session Manager
    zone_count              = optional(number, 3)        # used if zones is empty
    zones                   = optional(list(string), []) # names of the zones; append new ones at the end
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(cidrnetmask(var.network.cidr)) && try(tonumber(split("/", var.network.cidr)[1]) >= 16 && tonumber(split("/", var.network.cidr)[1]) <= 20, false)
    error_message = "network.cidr must be an IPv4 range of /16 to /20, for example 10.40.0.0/16."
  }
  validation {
    condition     = length(var.network.zones) > 0 ? length(distinct(var.network.zones)) >= 2 : var.network.zone_count >= 2
    error_message = "The fabric needs at least two availability zones. Name two or more different zones in network.zones, or set network.zone_count to 2 or 3."
  }
  validation {
    condition     = max(length(var.network.zones), var.network.zone_count) <= 4
    error_message = "The fabric supports at most four availability zones. Name fewer zones in network.zones, or lower network.zone_count."
  }
  validation {
    condition     = alltrue([for cidr in var.network.ssh_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "network.ssh_cidrs must contain your own IPv4 ranges, such as 203.0.113.7/32. 0.0.0.0/0 and ::/0 would open SSH to the internet. Leave it empty and use `aws ssm start-session`."
  }
  validation {
    # Two ranges overlap if both have the same network address under the shorter of the two prefixes.
    condition = alltrue([for cidr in var.network.reserved_cidrs : try(
      cidrhost("${split("/", cidr)[0]}/${min(split("/", cidr)[1], split("/", var.network.cidr)[1])}", 0)
      != cidrhost("${split("/", var.network.cidr)[0]}/${min(split("/", cidr)[1], split("/", var.network.cidr)[1])}", 0),
    false)])
    error_message = "network.cidr overlaps a range in network.reserved_cidrs, or one of these is not an IPv4 range. Choose another network.cidr."
  }
  validation {
    condition = var.network.existing == null || try(
      length(var.network.existing.private_subnet_ids) >= 2 && length(var.network.existing.data_subnet_ids) >= 2 && length(var.network.existing.public_subnet_ids) >= 2,
    false)
    error_message = "network.existing needs at least two subnets of each kind, in different availability zones."
  }
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

variable "release" {
  description = "Identifier of the release that is deployed. The driver passes the commit. It is the value of the Release tag of every resource."
  type        = string
  default     = "unreleased"
  nullable    = false
}

variable "rollout" {
  description = "How the driver rolls out a new launch template version to running instances. Durations are in seconds."
  type = object({
    bake_seconds   = optional(number, 900) # the alarms that watch a rollout need 2 of 3 periods of 5 minutes
    warmup_seconds = optional(number, 60)  # how long a replacement serves before its predecessor is terminated
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.rollout.bake_seconds >= 0 && var.rollout.bake_seconds <= 172800
    error_message = "rollout.bake_seconds must be 0 to 172800. An instance refresh bakes for at most two days."
  }
  validation {
    condition     = var.rollout.warmup_seconds >= 0 && var.rollout.warmup_seconds <= 3600
    error_message = "rollout.warmup_seconds must be 0 to 3600. Every step of a rollout waits this long."
  }
}

variable "sign_on" {
  description = "Single sign-on to Open WebUI through OpenID Connect. The client secret is not a variable: `make sign-on` stores it in Secrets Manager. Null: users sign in with e-mail and password."
  type = object({
    allowed_domains  = optional(list(string), [])         # domains of e-mail addresses; empty: every user that the provider accepts
    client_id        = string                             # ID of Open WebUI at the provider
    default_role     = optional(string, "pending")        # role of a new account without roles: pending waits for an administrator, user may chat
    discovery_url    = string                             # the provider's .well-known/openid-configuration
    make_accounts    = optional(bool, true)               # false: an administrator creates the accounts first
    name             = optional(string, "Single sign-on") # label of the sign-in button
    password_sign_in = optional(bool, true)               # false: the first administrator also signs in through the provider
    roles = optional(object({                             # read from a claim at every sign-in; null: administrators assign roles
      administrators = list(string)                       # roles whose users are administrators
      allowed        = list(string)                       # a user with none of these roles is refused
      claim          = optional(string, "roles")          # the claim that contains the roles
    }))
    scopes = optional(string, "openid email profile") # must include openid and email
  })
  default = null

  validation {
    condition     = var.sign_on == null || can(regex("^https://[^/]+/.*\\.well-known/openid-configuration$", var.sign_on.discovery_url))
    error_message = "sign_on.discovery_url must be the URL of the provider's discovery document, for example https://login.example.org/realms/staff/.well-known/openid-configuration."
  }
  validation {
    condition     = var.sign_on == null || contains(["pending", "user"], try(var.sign_on.default_role, ""))
    error_message = "sign_on.default_role must be pending or user. Name administrators in sign_on.roles.administrators, or let another administrator promote them."
  }
  validation {
    condition     = var.sign_on == null || try(length(var.sign_on.client_id) > 0 && contains(split(" ", var.sign_on.scopes), "openid") && contains(split(" ", var.sign_on.scopes), "email"), false)
    error_message = "sign_on needs a client_id, and scopes that include openid and email. Accounts are identified by e-mail address."
  }
  validation {
    # With neither, no user could ever become an administrator again.
    condition     = var.sign_on == null || try(var.sign_on.password_sign_in, false) || length(try(var.sign_on.roles.administrators, [])) > 0
    error_message = "sign_on.password_sign_in = false locks out all administrators unless sign_on.roles.administrators names one of the provider's roles."
  }
  validation {
    condition     = var.sign_on == null || alltrue([for domain in try(var.sign_on.allowed_domains, []) : can(regex("^[a-z0-9.-]+\\.[a-z]+$", domain))])
    error_message = "sign_on.allowed_domains must be domains of e-mail addresses in lowercase, for example [\"example.org\"]."
  }
}

variable "spot_enabled" {
  description = "Allow spot instances: in the interactive fleet above its on-demand base, and for the whole batch fleet."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Additional tags for every resource, such as CostCenter. Keys have no spaces and no slashes, because instances read their tags from the metadata service."
  type        = map(string)
  default     = {}
  nullable    = false

  # EC2 User Guide, "View tags for your EC2 instances using instance metadata". Otherwise no instance starts.
  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[0-9a-zA-Z_+=,.@:-]{1,128}$", key)) && !contains([".", "..", "_index"], key)])
    error_message = "tags: a key may have letters, digits and the characters + - = . , _ : @, for example CostCenter. EC2 starts no instance with these keys: ${join(", ", [for key in keys(var.tags) : "`${key}`" if !can(regex("^[0-9a-zA-Z_+=,.@:-]{1,128}$", key)) || contains([".", "..", "_index"], key)])}."
  }
  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags: keys that begin with aws: are reserved by AWS."
  }
}
