locals {
  gibibyte = 1024 * 1024 * 1024

  database = { dimensions = { DBInstanceIdentifier = var.data.database_id } }

  data_metric_alarms = {
    "database-cpu" = merge(local.alarm_defaults, local.database, {
      what               = "database-cpu"
      description        = "The database's CPU has been above 80 % for 15 minutes. Pages, histories, and document search are slow."
      namespace          = "AWS/RDS"
      metric_name        = "CPUUtilization"
      statistic          = "Average"
      period             = 300
      evaluation_periods = 3
      threshold          = 80
    })
    "database-storage" = merge(local.alarm_defaults, local.database, {
      what                = "database-storage"
      description         = "The database has less than ${var.settings.database_free_storage_gib} GiB of free storage. When it is full, no chat can be saved. Storage autoscaling has not increased it."
      namespace           = "AWS/RDS"
      metric_name         = "FreeStorageSpace"
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      period              = 300
      evaluation_periods  = 3
      threshold           = var.settings.database_free_storage_gib * local.gibibyte
    })
    "database-connections" = merge(local.alarm_defaults, local.database, {
      what                = "database-connections"
      description         = "The database has ${var.settings.database_connections} connections or more. It will refuse the connections of further Open WebUI processes, and users will see errors at sign-in."
      namespace           = "AWS/RDS"
      metric_name         = "DatabaseConnections"
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      threshold           = var.settings.database_connections
    })
    # 256 MiB for every instance class: below this, PostgreSQL swaps or is killed, on a small instance as on a large one.
    "database-memory" = merge(local.alarm_defaults, local.database, {
      what                = "database-memory"
      description         = "The database has less than 256 MiB of free memory. It is about to swap, which slows down every query."
      namespace           = "AWS/RDS"
      metric_name         = "FreeableMemory"
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      period              = 300
      evaluation_periods  = 3
      threshold           = local.gibibyte / 4
    })
    # No alarm on burst credits: elastic throughput has none. The remaining limit is the number of operations.
    "files-io-limit" = merge(local.alarm_defaults, {
      what                = "files-io-limit"
      description         = "The shared model store has been at its limit of operations for 15 minutes. New instances take long to copy the models and to become ready."
      namespace           = "AWS/EFS"
      metric_name         = "PercentIOLimit"
      dimensions          = { FileSystemId = var.data.file_system_id }
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Average"
      period              = 300
      evaluation_periods  = 3
      threshold           = 95
    })
  }

  # One alarm covers all nodes, because a failover moves the load. EngineCPUUtilization, not CPUUtilization: the engine has one
  # thread, and a saturated thread on two cores is reported as 50 %.
  cache_watches = {
    "cache-cpu" = {
      description = "The engine of a cache node has used more than 80 % of its single thread. Sign-ins and live updates are slow for all users."
      label       = "busiest node, percent"
      metric      = "EngineCPUUtilization"
      stat        = "Maximum"
      threshold   = 80
    }
    "cache-memory" = {
      description = "A cache node uses more than 80 % of its memory. A full cache refuses writes, and then no user can sign in."
      label       = "fullest node, percent"
      metric      = "DatabaseMemoryUsagePercentage"
      stat        = "Maximum"
      threshold   = 80
    }
    "cache-evictions" = {
      description = "The cache evicts entries, although its parameter group forbids this (noeviction). A revoked token could be valid again."
      label       = "evictions of the worst node"
      metric      = "Evictions"
      stat        = "Sum"
      threshold   = 0
    }
  }

  # length(), not for_each over the IDs: the IDs may be unknown until the cache exists, but their number is not.
  data_math_alarms = { for what, watch in local.cache_watches : what => merge(local.alarm_defaults, {
    what        = what
    description = watch.description
    threshold   = watch.threshold
    label       = watch.label
    expression  = "MAX([${join(", ", [for index in range(length(var.data.cache_cluster_ids)) : "node${index}"])}])"
    metrics = { for index in range(length(var.data.cache_cluster_ids)) : "node${index}" => {
      namespace   = "AWS/ElastiCache"
      metric_name = watch.metric
      dimensions  = { CacheClusterId = var.data.cache_cluster_ids[index] }
      stat        = watch.stat
    } }
  }) }
}
