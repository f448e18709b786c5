locals {
  gibibyte = 1024 * 1024 * 1024

  database = { dimensions = { DBInstanceIdentifier = var.data.database_id } }

  data_metric_alarms = {
    "database-cpu" = merge(local.alarm_defaults, local.database, {
      what               = "database-cpu"
      description        = "The database's processor has been above 80 % for 15 minutes: pages, histories and document search slow down."
      namespace          = "AWS/RDS"
      metric_name        = "CPUUtilization"
      statistic          = "Average"
      period             = 300
      evaluation_periods = 3
      threshold          = 80
    })
    "database-storage" = merge(local.alarm_defaults, local.database, {
      what                = "database-storage"
      description         = "The database has less than ${var.settings.database_free_storage_gib} GiB of free storage: when it is full, no chat can be saved. Storage that should grow by itself has not."
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
      description         = "The database has ${var.settings.database_connections} connections or more: Open WebUI's next processes will be refused, and people see errors at sign-in."
      namespace           = "AWS/RDS"
      metric_name         = "DatabaseConnections"
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      threshold           = var.settings.database_connections
    })
    # 256 MiB whatever the class: below it PostgreSQL swaps or is killed, on a small instance as on a large one.
    "database-memory" = merge(local.alarm_defaults, local.database, {
      what                = "database-memory"
      description         = "The database has less than 256 MiB of free memory: it is about to swap, and everything that reads it slows down."
      namespace           = "AWS/RDS"
      metric_name         = "FreeableMemory"
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      period              = 300
      evaluation_periods  = 3
      threshold           = local.gibibyte / 4
    })
    # No alarm on burst credits: elastic throughput has none. What is left to run out of is operations.
    "files-io-limit" = merge(local.alarm_defaults, {
      what                = "files-io-limit"
      description         = "The shared model store has been at its limit of operations for 15 minutes: new instances take long to copy the models and to become ready."
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

  # One alarm over all nodes, since a failover moves the load. EngineCPUUtilization, not CPUUtilization: the engine is one
  # thread, and on two cores a saturated thread reads as 50 %.
  cache_watches = {
    "cache-cpu" = {
      description = "A cache node's engine has been above 80 % of its one thread: sign-ins and live updates slow down for everyone."
      label       = "busiest node, percent"
      figure      = "EngineCPUUtilization"
      stat        = "Maximum"
      threshold   = 80
    }
    "cache-memory" = {
      description = "A cache node holds more than 80 % of its memory: full, it refuses writes, and nobody can sign in."
      label       = "fullest node, percent"
      figure      = "DatabaseMemoryUsagePercentage"
      stat        = "Maximum"
      threshold   = 80
    }
    "cache-evictions" = {
      description = "The cache throws entries away, which its parameter group forbids (noeviction): a token that was signed out could be valid again."
      label       = "evictions of the worst node"
      figure      = "Evictions"
      stat        = "Sum"
      threshold   = 0
    }
  }

  # length(), not for_each over the ids: they may be unknown until the cache exists, their number may not.
  data_math_alarms = { for what, watch in local.cache_watches : what => merge(local.alarm_defaults, {
    what        = what
    description = watch.description
    threshold   = watch.threshold
    label       = watch.label
    expression  = "MAX([${join(", ", [for index in range(length(var.data.cache_cluster_ids)) : "node${index}"])}])"
    metrics = { for index in range(length(var.data.cache_cluster_ids)) : "node${index}" => {
      namespace   = "AWS/ElastiCache"
      metric_name = watch.figure
      dimensions  = { CacheClusterId = var.data.cache_cluster_ids[index] }
      stat        = watch.stat
    } }
  }) }
}
