# The rows of the dashboard. A widget is a type and the properties of CloudWatch's dashboard body; a line is
# [namespace, metric, dimension, value, ..., options]. Lines of a fleet are labelled with its key.
locals {
  chart = {
    period  = 60
    region  = var.region
    stacked = false
    view    = "timeSeries"
  }

  # Axes that start at 0 and say the contract's unit.
  axis  = { for name, unit in merge(local.unit, { celsius = "degrees Celsius", watts = "Watts" }) : name => { left = { label = unit, min = 0, showUnits = false } } }
  share = { left = { label = "Percent", max = 100, min = 0, showUnits = false } }
  count = { left = { label = "Count", min = 0, showUnits = false } }

  percentiles = ["p50", "p95", "p99"]

  # One line a fleet of one metric, by the chart's statistic.
  fleet_lines = { for name in keys(var.contract.metrics.names) : name => [
    for fleet in keys(var.fleets) : concat(local.line[fleet][name], [{ label = fleet }])
  ] }
  # Three lines a fleet of one metric: median, and the two tails.
  percentile_lines = { for name in keys(var.contract.metrics.names) : name => flatten([
    for fleet in keys(var.fleets) : [for stat in local.percentiles : { line = concat(local.line[fleet][name], [{ label = "${fleet} ${stat}", stat = stat }]) }]
  ])[*].line }

  group_lines = { for name in ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupMaxSize", "GroupMinSize", "GroupPendingInstances", "GroupTerminatingInstances"] : name => [
    for fleet, group in var.fleets : ["AWS/AutoScaling", name, "AutoScalingGroupName", group.group_name, { label = "${fleet} ${trimprefix(name, "Group")}" }]
  ] }
  target_lines = { for name in ["HealthyHostCount", "RequestCount", "UnHealthyHostCount"] : name => [
    for fleet in keys(var.fleets) : ["AWS/ApplicationELB", name, "TargetGroup", var.target_groups[fleet].arn_suffix, "LoadBalancer", var.load_balancer.arn_suffix, { label = "${fleet} ${name}" }]
  ] }

  alarms_row = {
    title = "Alarms of ${var.environment}"
    widgets = [{
      type = "alarm"
      properties = {
        title = "Alarms"
        alarms = concat(
          [aws_cloudwatch_composite_alarm.this.arn],
          [for key in sort(keys(local.alarm_resources)) : local.alarm_resources[key].arn],
        )
      }
    }]
  }

  gpu_row = {
    title = "GPU"
    widgets = [
      { type = "metric", properties = merge(local.chart, {
        title   = "GPU utilization"
        stat    = "Average"
        metrics = local.fleet_lines.nvidia_smi_utilization_gpu
        yAxis   = local.share
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "GPU memory in use"
        stat  = "Maximum"
        metrics = flatten([for index, fleet in keys(var.fleets) : [
          { line = concat(local.line[fleet].nvidia_smi_memory_used, [{ id = "used${index}", visible = false }]) },
          { line = concat(local.line[fleet].nvidia_smi_memory_total, [{ id = "total${index}", visible = false }]) },
          { line = [{ expression = "100 * used${index} / total${index}", id = "share${index}", label = fleet }] },
        ]])[*].line
        yAxis       = local.share
        annotations = { horizontal = [{ label = "alarm", value = var.settings.gpu_memory_percent }] }
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "GPU memory bandwidth in use"
        stat    = "Average"
        metrics = local.fleet_lines.nvidia_smi_utilization_memory
        yAxis   = local.share
      }) },
      { type = "metric", properties = merge(local.chart, {
        title       = "Hottest GPU"
        stat        = "Maximum"
        metrics     = local.fleet_lines.nvidia_smi_temperature_gpu
        yAxis       = local.axis.celsius
        annotations = { horizontal = [{ label = "alarm", value = var.settings.gpu_temperature_celsius }] }
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Power of a GPU"
        stat    = "Average"
        metrics = local.fleet_lines.nvidia_smi_power_draw
        yAxis   = local.axis.watts
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "GPU errors, fewest GPUs of an instance, model on the GPU"
        stat  = "Minimum"
        metrics = flatten([for fleet in keys(var.fleets) : [
          { line = concat(local.line[fleet].GpuErrors, [{ label = "${fleet} errors", stat = "Maximum" }]) },
          { line = concat(local.line[fleet].GpuCount, [{ label = "${fleet} GPUs" }]) },
          { line = concat(local.line[fleet].ModelOnGpu, [{ label = "${fleet} model on GPU" }]) },
        ]])[*].line
        yAxis = local.axis.GpuErrors
      }) },
    ]
  }

  latency_row = {
    title = "Latency"
    widgets = [
      { type = "metric", properties = merge(local.chart, {
        title       = "Time to first token"
        metrics     = local.percentile_lines.TimeToFirstToken
        yAxis       = local.axis.TimeToFirstToken
        annotations = { horizontal = [{ label = "alarm on p95", value = var.settings.time_to_first_token_p95_ms }] }
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Time to first token by model, p95"
        metrics = [for fleet, group in var.fleets : [{
          expression = "SEARCH('{${var.contract.metrics.namespace},${local.group_dimension.TimeToFirstToken},Model} MetricName=\"${local.field.TimeToFirstToken}\" ${local.group_dimension.TimeToFirstToken}=\"${group.group_name}\"', 'p95', 300)"
          id         = "models_${fleet}"
          label      = fleet
        }]]
        yAxis = local.axis.TimeToFirstToken
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Time in the gateway's queue"
        metrics = local.percentile_lines.QueueTime
        yAxis   = local.axis.QueueTime
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Time to the whole answer"
        metrics = local.percentile_lines.TotalTime
        yAxis   = local.axis.TotalTime
      }) },
      { type = "metric", properties = merge(local.chart, {
        title       = "Load balancer: time to the response's headers (a chat's tokens come later, over the websocket)"
        metrics     = [for stat in local.percentiles : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer.arn_suffix, { label = stat, stat = stat }]]
        yAxis       = { left = { label = "Seconds", min = 0, showUnits = false } }
        annotations = { horizontal = [{ label = "alarm on p95", value = var.settings.request_latency_p95_ms / 1000 }] }
      }) },
    ]
  }

  throughput_row = {
    title = "Throughput"
    widgets = [
      { type = "metric", properties = merge(local.chart, {
        title   = "Inference requests a minute"
        stat    = "Sum"
        metrics = local.fleet_lines.Requests
        yAxis   = local.axis.Requests
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Turned away a minute (503)"
        stat    = "Sum"
        metrics = local.fleet_lines.Rejected
        yAxis   = local.axis.Rejected
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Load balancer: requests a minute"
        stat    = "Sum"
        metrics = local.target_lines.RequestCount
        yAxis   = local.count
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Load balancer: server errors"
        stat  = "Sum"
        metrics = concat(
          [for name in ["HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count"] : ["AWS/ApplicationELB", name, "LoadBalancer", var.load_balancer.arn_suffix]],
        )
        yAxis = local.count
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Streams in flight, sum of all instances"
        metrics = [for fleet, group in var.fleets : [{
          expression = "SUM(SEARCH('{${var.contract.metrics.namespace},${local.group_dimension.InFlight},InstanceId} MetricName=\"${local.field.InFlight}\" ${local.group_dimension.InFlight}=\"${group.group_name}\"', 'Average', 60))"
          id         = "streams_${fleet}"
          label      = fleet
        }]]
        yAxis = local.axis.InFlight
      }) },
    ]
  }

  queue_row = {
    title = "Queue and slots"
    widgets = [
      # Averages over the same samples: their ratio is the fleet's, however many instances it has.
      { type = "metric", properties = merge(local.chart, {
        title = "Inference load: (in flight + queued) / slots"
        stat  = "Average"
        metrics = flatten([for index, fleet in keys(var.fleets) : [
          { line = concat(local.line[fleet].InFlight, [{ id = "running${index}", visible = false }]) },
          { line = concat(local.line[fleet].Queued, [{ id = "queued${index}", visible = false }]) },
          { line = concat(local.line[fleet].Slots, [{ id = "slots${index}", visible = false }]) },
          { line = [{ expression = "100 * (running${index} + queued${index}) / slots${index}", id = "load${index}", label = "${fleet} ${local.field.InferenceLoad}" }] },
        ]])[*].line
        yAxis = local.axis.InferenceLoad
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Queued on an instance"
        metrics = flatten([for fleet in keys(var.fleets) : [
          { line = concat(local.line[fleet].Queued, [{ label = "${fleet} average", stat = "Average" }]) },
          { line = concat(local.line[fleet].Queued, [{ label = "${fleet} longest", stat = "Maximum" }]) },
        ]])[*].line
        yAxis       = local.axis.Queued
        annotations = { horizontal = [{ label = "alarm on average", value = var.settings.queued_per_instance }] }
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Slots and streams of an average instance"
        stat  = "Average"
        metrics = flatten([for fleet in keys(var.fleets) : [
          { line = concat(local.line[fleet].Slots, [{ label = "${fleet} slots" }]) },
          { line = concat(local.line[fleet].InFlight, [{ label = "${fleet} in flight" }]) },
        ]])[*].line
        yAxis = local.axis.Slots
      }) },
    ]
  }

  fleet_row = {
    title = "Fleet"
    widgets = [
      { type = "metric", properties = merge(local.chart, {
        title   = "Instances"
        stat    = "Average"
        metrics = concat(local.group_lines.GroupInServiceInstances, local.group_lines.GroupDesiredCapacity, local.group_lines.GroupMinSize, local.group_lines.GroupMaxSize)
        yAxis   = local.count
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Coming and going"
        stat    = "Maximum"
        metrics = concat(local.group_lines.GroupPendingInstances, local.group_lines.GroupTerminatingInstances)
        yAxis   = local.count
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Hosts behind the load balancer"
        stat    = "Maximum"
        metrics = concat(local.target_lines.HealthyHostCount, local.target_lines.UnHealthyHostCount)
        yAxis   = local.count
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "CPU"
        stat    = "Average"
        metrics = local.fleet_lines.cpu_usage_active
        yAxis   = local.share
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Memory, fullest instance"
        stat    = "Maximum"
        metrics = local.fleet_lines.mem_used_percent
        yAxis   = local.share
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Disk, fullest instance"
        stat    = "Maximum"
        metrics = local.fleet_lines.disk_used_percent
        yAxis   = local.share
      }) },
    ]
  }

  data_row = {
    title = "Data"
    widgets = [
      { type = "metric", properties = merge(local.chart, {
        title   = "Database: CPU"
        stat    = "Average"
        metrics = [["AWS/RDS", "CPUUtilization", "DBInstanceIdentifier", var.data.database_id]]
        yAxis   = local.share
      }) },
      { type = "metric", properties = merge(local.chart, {
        title       = "Database: connections"
        stat        = "Maximum"
        metrics     = [["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", var.data.database_id]]
        yAxis       = local.count
        annotations = { horizontal = [{ label = "alarm", value = var.settings.database_connections }] }
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Database: free storage and memory"
        stat    = "Minimum"
        metrics = [for name in ["FreeStorageSpace", "FreeableMemory"] : ["AWS/RDS", name, "DBInstanceIdentifier", var.data.database_id]]
        yAxis   = { left = { label = "Bytes", min = 0, showUnits = false } }
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Cache: engine and memory"
        stat  = "Maximum"
        metrics = flatten([for id in var.data.cache_cluster_ids : [
          for name in ["DatabaseMemoryUsagePercentage", "EngineCPUUtilization"] : { line = ["AWS/ElastiCache", name, "CacheClusterId", id] }
        ]])[*].line
        yAxis = local.share
      }) },
      { type = "metric", properties = merge(local.chart, {
        title   = "Cache: evictions"
        stat    = "Sum"
        metrics = [for id in var.data.cache_cluster_ids : ["AWS/ElastiCache", "Evictions", "CacheClusterId", id]]
        yAxis   = local.count
      }) },
      { type = "metric", properties = merge(local.chart, {
        title = "Model files: operations limit and bytes"
        metrics = [
          ["AWS/EFS", "PercentIOLimit", "FileSystemId", var.data.file_system_id, { stat = "Average" }],
          ["AWS/EFS", "TotalIOBytes", "FileSystemId", var.data.file_system_id, { stat = "Sum", yAxis = "right" }],
        ]
        yAxis = merge(local.share, { right = { label = "Bytes", min = 0, showUnits = false } })
      }) },
    ]
  }

  events_row = {
    title = "Scaling, spot and refresh events"
    widgets = [{
      type = "log"
      properties = {
        title  = "Latest events: time and reason"
        query  = "SOURCE '${aws_cloudwatch_log_group.this["events"].name}' | ${trimspace(local.scaling_query)}"
        region = var.region
        view   = "table"
      }
    }]
  }

  dashboard_rows = [
    local.alarms_row, local.gpu_row, local.latency_row, local.throughput_row, local.queue_row, local.fleet_row, local.data_row, local.events_row,
  ]
}
