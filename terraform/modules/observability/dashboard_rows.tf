# The dashboard's rows of charts as data; dashboard.tf renders them.
#
# A chart has a `title`, the `axis` on the left (and optionally a `right_axis`), a default statistic `stat`, and optionally the
# `threshold` of an alarm. Its lines are either `lines`, in CloudWatch's form [namespace, metric, dimension, value, ..., options],
# or `series`, which are drawn once per fleet and labeled with the fleet's key and the series' `label`. A series is one of:
#   { metric }                  a metric of the contract, optionally with its own `stat`
#   { metric, operand }         the same, not drawn: an operand for expressions, with that ID
#   { expression, id }          an expression on operands, whose IDs end in "#"
locals {
  # Axes that start at 0. Those of the contract's metrics are labeled with the metric's unit.
  axis = { for name, label in merge(local.unit, {
    bytes   = "Bytes"
    celsius = "degrees Celsius"
    count   = "Count"
    seconds = "Seconds"
    watts   = "Watts"
  }) : name => { label = label, min = 0, showUnits = false } }
  percent = { label = "Percent", max = 100, min = 0, showUnits = false }

  # The median and the two tails of a metric.
  percentiles       = ["p50", "p95", "p99"]
  percentile_series = { for name in keys(local.field) : name => [for stat in local.percentiles : { metric = name, label = stat, stat = stat }] }

  # Lines of AWS's own metrics, one per fleet, node, or store.
  group_lines = { for name in ["DesiredCapacity", "InServiceInstances", "MaxSize", "MinSize", "PendingInstances", "TerminatingInstances"] : name => [
    for fleet, group in var.fleets : ["AWS/AutoScaling", "Group${name}", "AutoScalingGroupName", group.group_name, { label = "${fleet} ${name}" }]
  ] }
  target_lines = { for name in ["HealthyHostCount", "RequestCount", "UnHealthyHostCount"] : name => [
    for fleet in keys(var.fleets) : ["AWS/ApplicationELB", name, "TargetGroup", var.target_groups[fleet].arn_suffix, "LoadBalancer", var.load_balancer.arn_suffix, { label = "${fleet} ${name}" }]
  ] }
  database_line = { for name in ["CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "FreeableMemory"] : name => ["AWS/RDS", name, "DBInstanceIdentifier", var.data.database_id] }

  chart_rows = [
    { title = "GPU", charts = [
      { title = "GPU utilization", stat = "Average", axis = local.percent, series = [{ metric = local.field.nvidia_smi_utilization_gpu }] },
      { title = "GPU memory in use", stat = "Maximum", axis = local.percent, threshold = { label = "alarm", value = var.settings.gpu_memory_percent }, series = [
        { metric = local.field.nvidia_smi_memory_used, operand = "used" },
        { metric = local.field.nvidia_smi_memory_total, operand = "total" },
        { expression = "100 * used# / total#", id = "share" },
      ] },
      { title = "GPU memory bandwidth in use", stat = "Average", axis = local.percent, series = [{ metric = local.field.nvidia_smi_utilization_memory }] },
      { title = "Hottest GPU", stat = "Maximum", axis = local.axis.celsius, threshold = { label = "alarm", value = var.settings.gpu_temperature_celsius }, series = [
        { metric = local.field.nvidia_smi_temperature_gpu },
      ] },
      { title = "Power of a GPU", stat = "Average", axis = local.axis.watts, series = [{ metric = local.field.nvidia_smi_power_draw }] },
      { title = "GPU errors, fewest GPUs of an instance, model on the GPU", stat = "Minimum", axis = local.axis.GpuErrors, series = [
        { metric = local.field.GpuErrors, label = "errors", stat = "Maximum" },
        { metric = local.field.GpuCount, label = "GPUs" },
        { metric = local.field.ModelOnGpu, label = "model on GPU" },
      ] },
    ] },

    { title = "Latency", charts = [
      {
        title     = "Time to first token", axis = local.axis.TimeToFirstToken
        threshold = { label = "alarm on p95", value = var.settings.time_to_first_token_p95_ms }, series = local.percentile_series.TimeToFirstToken
      },
      { title = "Time to first token by model, p95", axis = local.axis.TimeToFirstToken, lines = [for fleet, group in var.fleets : [{
        expression = "SEARCH('{${var.contract.metrics.namespace},${local.group_dimension.TimeToFirstToken},Model} MetricName=\"${local.field.TimeToFirstToken}\" ${local.group_dimension.TimeToFirstToken}=\"${group.group_name}\"', 'p95', 300)"
        id         = "models_${fleet}"
        label      = fleet
      }]] },
      { title = "Time in the gateway's queue", axis = local.axis.QueueTime, series = local.percentile_series.QueueTime },
      { title = "Time to the whole answer", axis = local.axis.TotalTime, series = local.percentile_series.TotalTime },
      {
        title = "Load balancer: time to the response's headers (a chat's tokens come later, over the websocket)", axis = local.axis.seconds
        threshold = { label = "alarm on p95", value = var.settings.request_latency_p95_ms / 1000 }, lines = [
          for stat in local.percentiles : ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer.arn_suffix, { label = stat, stat = stat }]
        ]
      },
    ] },

    { title = "Throughput", charts = [
      { title = "Inference requests a minute", stat = "Sum", axis = local.axis.Requests, series = [{ metric = local.field.Requests }] },
      { title = "Turned away a minute (503)", stat = "Sum", axis = local.axis.Rejected, series = [{ metric = local.field.Rejected }] },
      { title = "Load balancer: requests a minute", stat = "Sum", axis = local.axis.count, lines = local.target_lines.RequestCount },
      { title = "Load balancer: server errors", stat = "Sum", axis = local.axis.count, lines = [
        for name in ["HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count"] : ["AWS/ApplicationELB", name, "LoadBalancer", var.load_balancer.arn_suffix]
      ] },
      { title = "Streams in flight, sum of all instances", axis = local.axis.InFlight, lines = [for fleet, group in var.fleets : [{
        expression = "SUM(SEARCH('{${var.contract.metrics.namespace},${local.group_dimension.InFlight},InstanceId} MetricName=\"${local.field.InFlight}\" ${local.group_dimension.InFlight}=\"${group.group_name}\"', 'Average', 60))"
        id         = "streams_${fleet}"
        label      = fleet
      }]] },
    ] },

    { title = "Queue and slots", charts = [
      # Averages over the same samples, so their ratio is the fleet's, whatever the number of instances.
      { title = "Inference load: (in flight + queued) / slots", stat = "Average", axis = local.axis.InferenceLoad, series = [
        { metric = local.field.InFlight, operand = "running" },
        { metric = local.field.Queued, operand = "queued" },
        { metric = local.field.Slots, operand = "slots" },
        { expression = "100 * (running# + queued#) / slots#", id = "load", label = local.field.InferenceLoad },
      ] },
      { title = "Queued on an instance", axis = local.axis.Queued, threshold = { label = "alarm on average", value = var.settings.queued_per_instance }, series = [
        { metric = local.field.Queued, label = "average", stat = "Average" },
        { metric = local.field.Queued, label = "longest", stat = "Maximum" },
      ] },
      { title = "Slots and streams of an average instance", stat = "Average", axis = local.axis.Slots, series = [
        { metric = local.field.Slots, label = "slots" },
        { metric = local.field.InFlight, label = "in flight" },
      ] },
    ] },

    { title = "Fleet", charts = [
      {
        title = "Instances", stat = "Average", axis = local.axis.count
        lines = concat(local.group_lines.InServiceInstances, local.group_lines.DesiredCapacity, local.group_lines.MinSize, local.group_lines.MaxSize)
      },
      {
        title = "Coming and going", stat = "Maximum", axis = local.axis.count
        lines = concat(local.group_lines.PendingInstances, local.group_lines.TerminatingInstances)
      },
      {
        title = "Hosts behind the load balancer", stat = "Maximum", axis = local.axis.count
        lines = concat(local.target_lines.HealthyHostCount, local.target_lines.UnHealthyHostCount)
      },
      { title = "CPU", stat = "Average", axis = local.percent, series = [{ metric = local.field.cpu_usage_active }] },
      { title = "Memory, fullest instance", stat = "Maximum", axis = local.percent, series = [{ metric = local.field.mem_used_percent }] },
      { title = "Disk, fullest instance", stat = "Maximum", axis = local.percent, series = [{ metric = local.field.disk_used_percent }] },
    ] },

    { title = "Data", charts = [
      { title = "Database: CPU", stat = "Average", axis = local.percent, lines = [local.database_line.CPUUtilization] },
      {
        title     = "Database: connections", stat = "Maximum", axis = local.axis.count
        threshold = { label = "alarm", value = var.settings.database_connections }, lines = [local.database_line.DatabaseConnections]
      },
      {
        title = "Database: free storage and memory", stat = "Minimum", axis = local.axis.bytes
        lines = [local.database_line.FreeStorageSpace, local.database_line.FreeableMemory]
      },
      { title = "Cache: engine and memory", stat = "Maximum", axis = local.percent, lines = concat([for id in var.data.cache_cluster_ids : [
        for name in ["DatabaseMemoryUsagePercentage", "EngineCPUUtilization"] : ["AWS/ElastiCache", name, "CacheClusterId", id]
      ]]...) },
      {
        title = "Cache: evictions", stat = "Sum", axis = local.axis.count
        lines = [for id in var.data.cache_cluster_ids : ["AWS/ElastiCache", "Evictions", "CacheClusterId", id]]
      },
      { title = "Model files: operations limit and bytes", axis = local.percent, right_axis = local.axis.bytes, lines = [
        ["AWS/EFS", "PercentIOLimit", "FileSystemId", var.data.file_system_id, { stat = "Average" }],
        ["AWS/EFS", "TotalIOBytes", "FileSystemId", var.data.file_system_id, { stat = "Sum", yAxis = "right" }],
      ] },
    ] },
  ]
}
