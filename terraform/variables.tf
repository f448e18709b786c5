variable "alarms" {
  description = "Who is told, and from which figures on. Latencies in milliseconds, shares in percent, temperatures in degrees Celsius."
  type = object({
    emails                          = optional(list(string), [])
    time_to_first_token_p95_ms      = optional(number, 2000) # requirement 1.5: typical queries answer below 2 s
    request_latency_p95_ms          = optional(number, 2000)
    error_percent                   = optional(number, 2)
    queued_per_instance             = optional(number, 8)
    gpu_memory_percent              = optional(number, 95)
    gpu_temperature_celsius         = optional(number, 85) # T4 and A10G slow down from about 88
    gpu_utilization_percent         = optional(number, 95)
    monthly_budget_usd              = optional(number) # without it no budget is made
    database_connections            = optional(number, 800)
    database_free_storage_gib       = optional(number, 20)
    notification_requires_composite = optional(bool, false)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for address in var.alarms.emails : can(regex("^[^@[:space:]]+@[^@[:space:]]+$", address))])
    error_message = "alarms.emails holds an entry that is no e-mail address. Write each as name@example.org."
  }
  validation {
    condition     = var.alarms.monthly_budget_usd == null ? true : var.alarms.monthly_budget_usd > 0
    error_message = "alarms.monthly_budget_usd must be above 0 US dollars a month, or left out."
  }
}

variable "collection_sha256" {
  description = "Set by the driver: the digest of the release's collection in the artifact bucket, by which instances converge."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.collection_sha256 == "" || can(regex("^[0-9a-f]{64}$", var.collection_sha256))
    error_message = "collection_sha256 must be 64 hexadecimal digits. Deploy with `make deploy`, which builds the collection and sets it."
  }
}

variable "data" {
  description = "The stores that outlive instances: database, cache, uploads, model files and their backups."
  type = object({
    backup_copy_vault_arn          = optional(string) # a vault in another region or account, for disaster recovery
    backup_retention_days          = optional(number, 35)
    cache_node_type                = optional(string, "cache.r7g.large")
    cache_replicas                 = optional(number, 1)
    database_instance_class        = optional(string, "db.r6g.xlarge")
    database_max_storage_gib       = optional(number, 1000)
    database_storage_gib           = optional(number, 100)
    deletion_protection            = optional(bool, true)
    restore_testing                = optional(bool, true)
    uploads_expire_noncurrent_days = optional(number, 90)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.data.cache_replicas >= 1 && var.data.cache_replicas <= 5
    error_message = "data.cache_replicas must be 1 to 5: automatic failover needs at least one replica."
  }
  validation {
    condition     = var.data.database_storage_gib >= 20 && var.data.database_max_storage_gib > var.data.database_storage_gib
    error_message = "data.database_storage_gib must be at least 20 and data.database_max_storage_gib above it, so that the storage can grow."
  }
  validation {
    condition     = var.data.backup_retention_days >= 1 && var.data.backup_retention_days <= 35
    error_message = "data.backup_retention_days must be 1 to 35: AWS keeps continuous backups for 35 days at most."
  }
}

variable "edge" {
  description = "The front door: who may come in, under which name and certificate. Durations in seconds."
  type = object({
    certificate_arn           = optional(string) # an existing ACM certificate; without it, domain makes one
    client_cidrs              = optional(list(string), ["0.0.0.0/0"])
    domain                    = optional(object({ name = string, zone = string })) # name inside a Route 53 zone
    health_check_interval     = optional(number, 5)
    health_check_timeout      = optional(number, 4)
    healthy_threshold         = optional(number, 2)
    idle_timeout              = optional(number, 360)
    internal                  = optional(bool, false)
    public_name               = optional(string)        # the name people use when its DNS is not in Route 53
    requests_per_five_minutes = optional(number, 10000) # per client address; an office shares one
    stickiness                = optional(number, 86400)
    stream_limit              = optional(number, 300) # the gateway ends a stream that is silent for longer
    unhealthy_threshold       = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.edge.certificate_arn != null || var.edge.domain != null
    error_message = "No certificate: set edge.domain = { name = \"chat.example.org\", zone = \"example.org\" } to have one made and validated in Route 53, or edge.certificate_arn to use one that you have in ACM."
  }
  validation {
    condition     = var.edge.certificate_arn == null || can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.edge.certificate_arn))
    error_message = "edge.certificate_arn is no ACM certificate's ARN: copy it from `aws acm list-certificates` in the environment's region."
  }
  validation {
    condition     = var.edge.domain == null || try(var.edge.domain.name == var.edge.domain.zone || endswith(var.edge.domain.name, ".${var.edge.domain.zone}"), false)
    error_message = "edge.domain.name must lie inside edge.domain.zone, for example chat.example.org in example.org."
  }
  validation {
    condition     = var.edge.health_check_timeout < var.edge.health_check_interval
    error_message = "edge.health_check_timeout must be below edge.health_check_interval: shorten the timeout or lengthen the interval."
  }
  validation {
    condition     = var.edge.health_check_interval >= 5 && var.edge.health_check_interval <= 300 && var.edge.health_check_timeout >= 2
    error_message = "edge.health_check_interval must be 5 to 300 seconds and edge.health_check_timeout at least 2."
  }
  validation {
    condition     = alltrue([for threshold in [var.edge.healthy_threshold, var.edge.unhealthy_threshold] : threshold >= 2 && threshold <= 10])
    error_message = "edge.healthy_threshold and edge.unhealthy_threshold must be 2 to 10 checks, as the load balancer takes them."
  }
  validation {
    condition     = var.edge.idle_timeout > var.edge.stream_limit && var.edge.idle_timeout <= 4000
    error_message = "edge.idle_timeout must be above edge.stream_limit (else the load balancer cuts a silent stream before the gateway ends it) and at most 4000 seconds."
  }
  validation {
    condition     = length(var.edge.client_cidrs) > 0 && alltrue([for cidr in var.edge.client_cidrs : can(cidrnetmask(cidr))])
    error_message = "edge.client_cidrs must hold IPv4 ranges such as 203.0.113.0/24; 0.0.0.0/0 opens the front door to everyone."
  }
  validation {
    # Two rules a range (443 and the redirect on 80), and a security group holds 60.
    condition     = length(var.edge.client_cidrs) <= 30
    error_message = "edge.client_cidrs holds more than 30 ranges, and a security group takes no more: summarise them into fewer."
  }
  validation {
    condition     = var.edge.stickiness >= 1 && var.edge.stickiness <= 604800
    error_message = "edge.stickiness must be 1 second to 7 days (604800)."
  }
}

variable "environment" {
  description = "Name of the environment: local, dev, staging, prod or your own. Part of every name and of the state's key."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,11}$", var.environment)) && !endswith(var.environment, "-")
    error_message = "environment must be 2 to 12 lower-case letters, digits or dashes, starting with a letter: a load balancer's name holds 32 characters."
  }
}

variable "fleets" {
  description = <<-EOT
    The groups of GPU instances. `interactive` serves people and always exists; `batch` serves non-critical work from spot
    instances and exists only when spot_enabled. Sizes are instances; instance_types are in order of preference.
  EOT
  type = map(object({
    instance_types = list(string)
    min_size       = number
    max_size       = number
    desired_size   = optional(number) # only for the first deploy; scaling owns it afterwards

    on_demand_base  = optional(number, 2) # instances that are never spot
    spot_percentage = optional(number, 0) # share of spot above the base; needs spot_enabled

    routing = optional(object({ # batch: which requests it serves
      header_name   = optional(string, "X-Ollama-Fleet")
      header_values = optional(list(string), [])
      hosts         = optional(list(string), [])
    }))

    scaling = optional(object({
      cpu_percent                    = optional(number, 60)
      inference_load_percent         = optional(number, 70)
      requests_per_target_per_minute = optional(number, 600)
      warmup_seconds                 = optional(number, 300)
    }), {})
    schedule = optional(map(object({ # for example office hours: a higher minimum from a recurrence on
      min_size   = number
      recurrence = string # cron, in time_zone
      time_zone  = optional(string, "Etc/UTC")
    })), {})

    root_volume = optional(object({
      size_gib        = optional(number, 200)
      iops            = optional(number, 6000)
      throughput_mibs = optional(number, 500) # g4dn and g5.xlarge read 437 MB/s at most
    }), {})
    drain_seconds       = optional(number, 110)  # a spot notice leaves 120
    launch_wait_seconds = optional(number, 1800) # a stock image converges within it; a baked one takes minutes
    max_lifetime_days   = optional(number, 30)
  }))
  nullable = false

  validation {
    condition     = contains(keys(var.fleets), "interactive") && length(setsubtract(keys(var.fleets), ["interactive", "batch"])) == 0
    error_message = "fleets must hold `interactive`, may hold `batch`, and nothing else."
  }
  validation {
    condition = alltrue([for fleet in var.fleets : length(fleet.instance_types) > 0 && alltrue([
      for type in fleet.instance_types : can(regex("^(g4dn|g5|g6|g6e|p3)\\.", type))
    ])])
    error_message = "fleets: instance_types must be of the NVIDIA families g4dn, g5, g6, g6e or p3, for example g5.2xlarge; these are not: ${join(", ", distinct(flatten([for fleet in var.fleets : [for type in fleet.instance_types : type if !can(regex("^(g4dn|g5|g6|g6e|p3)\\.", type))]])))}."
  }
  validation {
    condition     = try(var.fleets["interactive"].min_size, 2) >= 2
    error_message = "fleets.interactive.min_size must be at least 2: one instance can fail without an outage only when a second serves."
  }
  validation {
    condition     = alltrue([for name, fleet in var.fleets : name == "interactive" || contains([0, 1], fleet.min_size)])
    error_message = "fleets.batch.min_size must be 0 or 1: batch work waits, so idle spot instances are waste."
  }
  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.max_size >= fleet.min_size && fleet.max_size >= 1])
    error_message = "fleets: max_size is below min_size (or below 1). Raise max_size, which is the hard cost limit, or lower min_size."
  }
  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.desired_size == null || try(fleet.desired_size >= fleet.min_size && fleet.desired_size <= fleet.max_size, false)])
    error_message = "fleets: desired_size lies outside min_size to max_size. Leave it out to start at min_size."
  }
  validation {
    condition     = try(var.fleets["interactive"].on_demand_base, 2) >= 2
    error_message = "fleets.interactive.on_demand_base must be at least 2: when every spot instance is taken back at once, two must remain."
  }
  validation {
    condition     = try(var.fleets["interactive"].spot_percentage, 0) >= 0 && try(var.fleets["interactive"].spot_percentage, 0) <= 100
    error_message = "fleets.interactive.spot_percentage must be 0 to 100: it is the share of spot above on_demand_base."
  }
  validation {
    condition     = var.spot_enabled || try(var.fleets["interactive"].spot_percentage, 0) == 0
    error_message = "fleets.interactive.spot_percentage is above 0 while spot is off: set spot_enabled = true, or the percentage to 0 for on-demand only."
  }
  validation {
    condition     = alltrue([for name, fleet in var.fleets : name == "interactive" || try(length(fleet.routing.hosts) + length(fleet.routing.header_values) > 0, false)])
    error_message = "fleets.batch.routing must name hosts or header_values, or no request would ever reach the fleet."
  }
  validation {
    condition     = alltrue(flatten([for fleet in var.fleets : [for entry in fleet.schedule : entry.min_size >= fleet.min_size && entry.min_size <= fleet.max_size]]))
    error_message = "fleets: a schedule's min_size lies outside the fleet's min_size to max_size."
  }
  validation {
    condition     = alltrue([for fleet in var.fleets : fleet.drain_seconds > 0 && fleet.drain_seconds < 120])
    error_message = "fleets: drain_seconds must be below 120: a spot notice leaves two minutes whatever the lifecycle hook says."
  }
  validation {
    condition = alltrue([for fleet in var.fleets : fleet.root_volume.size_gib >= 50 && fleet.root_volume.iops >= 3000 && fleet.root_volume.iops <= 16000
    && fleet.root_volume.throughput_mibs >= 125 && fleet.root_volume.throughput_mibs <= 1000 && fleet.root_volume.throughput_mibs <= fleet.root_volume.iops / 4])
    error_message = "fleets: root_volume is outside gp3's limits: size_gib at least 50, iops 3000 to 16000, throughput_mibs 125 to 1000 and at most a quarter of iops."
  }
}

variable "image_id" {
  description = "AMI of the instances. Null: the id in the SSM parameter that the bake publishes (contract: parameters.image)."
  type        = string
  default     = null

  validation {
    condition     = var.image_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.image_id))
    error_message = "image_id must look like ami-0123456789abcdef0. Leave it out to use the image that the environment's SSM parameter names."
  }
}

variable "instance" {
  description = "Set by the driver: the roles' variables of the environment (inventories/<env>/group_vars), so that a boot configures what the bake did; for local also where its AWS answers."
  type = object({
    endpoint_url = optional(string)
    variables    = optional(any, {}) # a map; its values are of any type, as Ansible's are
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.environment == "local" || var.instance.endpoint_url == null
    error_message = "instance.endpoint_url is for the environment local only: on AWS every service has its own address. Leave it out."
  }
  validation {
    # Nothing falls back to a CPU silently: one variable would turn the GPU gate off for a whole environment.
    condition     = var.environment == "local" || try(tobool(var.instance.variables.ollama_require_gpu), true)
    error_message = "ollama_require_gpu must not be false outside the environment local: its instances would serve from their CPUs. Take it out of the inventory's group_vars."
  }
  validation {
    condition     = can(keys(var.instance.variables))
    error_message = "instance.variables must be a map of Ansible variables, for example { ollama_require_gpu = false }."
  }
}

variable "models" {
  description = "For the driver: the model set that `ollama-gpu models publish` makes when it is given no names, as Ollama names them (NAME or NAME@sha256:...). What is served now is in the SSM parameter (contract: parameters.models)."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for name in var.models : can(regex("^[A-Za-z0-9_][A-Za-z0-9_./:-]*(@sha256:[0-9a-f]{64})?$", name))])
    error_message = "models must be names as Ollama writes them, for example [\"gemma3:4b\"] or [\"gemma3:4b@sha256:<64 digits>\"]."
  }
}

variable "network" {
  description = "A new VPC over `zones` (or the region's first `zone_count`), or an existing one."
  type = object({
    cidr = optional(string, "10.40.0.0/16")
    existing = optional(object({
      data_subnet_ids    = list(string)
      private_subnet_ids = list(string)
      public_subnet_ids  = list(string)
      vpc_id             = string
    }))
    flow_log_retention_days = optional(number, 90)
    nat_per_zone            = optional(bool, true)
    reserved_cidrs          = optional(list(string), []) # ranges that the VPC must not overlap: offices, peers
    ssh_cidrs               = optional(list(string), []) # none: administrators come through Session Manager
    zone_count              = optional(number, 3)
    zones                   = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(cidrnetmask(var.network.cidr)) && try(tonumber(split("/", var.network.cidr)[1]) >= 16 && tonumber(split("/", var.network.cidr)[1]) <= 20, false)
    error_message = "network.cidr must be an IPv4 range of /16 to /20, for example 10.40.0.0/16."
  }
  validation {
    condition     = length(var.network.zones) > 0 ? length(distinct(var.network.zones)) >= 2 : var.network.zone_count >= 2
    error_message = "The fabric needs at least two availability zones: name two or more different ones in network.zones, or set network.zone_count to 2 or 3."
  }
  validation {
    condition     = max(length(var.network.zones), var.network.zone_count) <= 4
    error_message = "At most four availability zones: leave network.zones shorter or lower network.zone_count."
  }
  validation {
    condition     = alltrue([for cidr in var.network.ssh_cidrs : can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)])
    error_message = "network.ssh_cidrs must name your own IPv4 ranges, such as 203.0.113.7/32; 0.0.0.0/0 and ::/0 would open SSH to the world. Leave it empty and use `aws ssm start-session`."
  }
  validation {
    # Two ranges overlap when both have the same network address under the shorter of the two prefixes.
    condition = alltrue([for cidr in var.network.reserved_cidrs : try(
      cidrhost("${split("/", cidr)[0]}/${min(split("/", cidr)[1], split("/", var.network.cidr)[1])}", 0)
      != cidrhost("${split("/", var.network.cidr)[0]}/${min(split("/", cidr)[1], split("/", var.network.cidr)[1])}", 0),
    false)])
    error_message = "network.cidr overlaps a range of network.reserved_cidrs (or one of these is no IPv4 range): choose another network.cidr."
  }
  validation {
    condition = var.network.existing == null || try(
      length(var.network.existing.private_subnet_ids) >= 2 && length(var.network.existing.data_subnet_ids) >= 2 && length(var.network.existing.public_subnet_ids) >= 2,
    false)
    error_message = "network.existing needs at least two subnets of each kind, in different availability zones."
  }
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

variable "release" {
  description = "What is being deployed (the driver passes the commit); becomes the Release tag of every resource."
  type        = string
  default     = "unreleased"
  nullable    = false
}

variable "rollout" {
  description = "How the driver brings a new launch template version to running instances. Seconds."
  type = object({
    bake_seconds   = optional(number, 900) # the alarms that watch a rollout need 2 of 3 periods of 5 minutes
    warmup_seconds = optional(number, 60)  # a successor that serves, before its predecessor goes
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.rollout.bake_seconds >= 0 && var.rollout.bake_seconds <= 172800
    error_message = "rollout.bake_seconds must be 0 to 172800: an instance refresh bakes for two days at most."
  }
  validation {
    condition     = var.rollout.warmup_seconds >= 0 && var.rollout.warmup_seconds <= 3600
    error_message = "rollout.warmup_seconds must be 0 to 3600: every step of a rollout waits for it."
  }
}

variable "sign_on" {
  description = "Single sign-on of Open WebUI by OpenID Connect. The client's secret is no variable: `ollama-gpu sign-on` puts it into Secrets Manager. Null: e-mail and password."
  type = object({
    allowed_domains  = optional(list(string), []) # of e-mail addresses; empty: whomever the provider lets in
    client_id        = string
    default_role     = optional(string, "pending") # of a new account without roles: pending waits for an administrator, user may chat
    discovery_url    = string                      # the provider's .well-known/openid-configuration
    make_accounts    = optional(bool, true)        # false: an administrator makes them first
    name             = optional(string, "Single sign-on")
    password_sign_in = optional(bool, true) # false: also the first administrator comes through the provider
    roles = optional(object({               # taken from a claim at every sign-in; null: administrators give them
      administrators = list(string)
      allowed        = list(string) # who has none of these is refused
      claim          = optional(string, "roles")
    }))
    scopes = optional(string, "openid email profile")
  })
  default = null

  validation {
    condition     = var.sign_on == null || can(regex("^https://[^/]+/.*\\.well-known/openid-configuration$", var.sign_on.discovery_url))
    error_message = "sign_on.discovery_url must be the provider's discovery document, for example https://login.example.org/realms/staff/.well-known/openid-configuration."
  }
  validation {
    condition     = var.sign_on == null || contains(["pending", "user"], try(var.sign_on.default_role, ""))
    error_message = "sign_on.default_role must be pending or user. Administrators come from sign_on.roles.administrators, or are named by another administrator."
  }
  validation {
    condition     = var.sign_on == null || try(length(var.sign_on.client_id) > 0 && contains(split(" ", var.sign_on.scopes), "openid") && contains(split(" ", var.sign_on.scopes), "email"), false)
    error_message = "sign_on needs a client_id, and scopes with openid and email: an account is its e-mail address."
  }
  validation {
    # With neither, nobody could ever become an administrator again.
    condition     = var.sign_on == null || try(var.sign_on.password_sign_in, false) || length(try(var.sign_on.roles.administrators, [])) > 0
    error_message = "sign_on.password_sign_in = false leaves no way in for an administrator unless sign_on.roles.administrators names one of the provider's roles."
  }
  validation {
    condition     = var.sign_on == null || alltrue([for domain in try(var.sign_on.allowed_domains, []) : can(regex("^[a-z0-9.-]+\\.[a-z]+$", domain))])
    error_message = "sign_on.allowed_domains are domains of e-mail addresses in lower case, for example [\"example.org\"]."
  }
}

variable "spot_enabled" {
  description = "Allow spot instances: above the interactive fleet's on-demand base, and for the whole batch fleet."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "Further tags for every resource, such as a cost centre."
  type        = map(string)
  default     = {}
  nullable    = false
}
