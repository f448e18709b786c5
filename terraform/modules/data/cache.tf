# Shared state of the Open WebUI processes: sockets, running tasks, revoked tokens. Valkey speaks the Redis protocol (redis-py
# with rediss:// works unchanged), is the line that ElastiCache develops, and costs 20% less than Redis OSS.

locals {
  cache_id = "${var.name}-cache"
}

resource "aws_elasticache_subnet_group" "this" {
  name        = local.cache_id
  description = "Data subnets of ${var.environment}"
  subnet_ids  = var.subnet_ids
}

# `timeout` is not set: ElastiCache's default is 0, and AWS reports a value equal to the default as unset. It must stay 0, or idle
# sockets lose their subscriptions. maxclients is fixed at 65,000.
resource "aws_elasticache_parameter_group" "this" {
  name        = "${local.cache_id}-valkey8"
  description = "Never evicts"
  family      = "valkey8"

  parameter {
    # The default evicts keys that expire, such as a revoked token: once evicted, the token would be valid again. With noeviction,
    # a full cache refuses writes instead, and an alarm fires long before that.
    name  = "maxmemory-policy"
    value = "noeviction"
  }

  lifecycle {
    create_before_destroy = true # a new major version's group must exist before the cache leaves the old group
  }
}

resource "aws_elasticache_replication_group" "this" {
  #checkov:skip=CKV_AWS_31: encrypted in transit; the AUTH token is set by the driver, see below
  replication_group_id = local.cache_id
  description          = "Sessions of Open WebUI in ${var.environment}"
  engine               = "valkey"
  engine_version       = "8.0"
  node_type            = var.settings.cache_node_type
  num_cache_clusters   = var.settings.cache_replicas + 1
  port                 = var.cache_port

  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [var.security_group_ids.cache]
  parameter_group_name       = aws_elasticache_parameter_group.this.name

  at_rest_encryption_enabled = true
  kms_key_id                 = aws_kms_key.data.arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  apply_immediately = true # like the database: a reviewed plan applies now
  # An automatic upgrade to 8.1 would be a downgrade in the next plan, for which the provider replaces the cache. Raise
  # engine_version instead. Security patches arrive as service updates, without a change of version.
  auto_minor_version_upgrade = false
  maintenance_window         = "sun:05:00-sun:07:00"
  snapshot_window            = "03:00-04:00"
  snapshot_retention_limit   = 1 # days; it contains only sessions, and users can sign in again

  log_delivery_configuration {
    destination      = aws_cloudwatch_log_group.cache_slow.name
    destination_type = "cloudwatch-logs"
    log_format       = "json"
    log_type         = "slow-log"
  }

  lifecycle {
    # The provider has no write-only argument for the token, so the token would be readable in the state. The driver creates it,
    # stores it in Secrets Manager, and sets it with ModifyReplicationGroup: first ROTATE, which accepts clients with the token
    # and without one, then SET, which refuses clients without it. Until then, only the security group protects the cache.
    ignore_changes = [auth_token, auth_token_update_strategy]
  }
}

resource "aws_cloudwatch_log_group" "cache_slow" {
  #checkov:skip=CKV_AWS_338: commands slower than 10 ms, for finding recent faults; not needed after a year
  name              = "/aws/elasticache/${local.cache_id}/slow-log"
  kms_key_id        = aws_kms_key.logs.arn
  retention_in_days = var.access_log_days
}
