locals {
  gpu_metric_alarms = merge(
    { for fleet in keys(var.fleets) : "${fleet}-gpu-utilization" => merge(local.alarm_defaults, local.custom[fleet].nvidia_smi_utilization_gpu, {
      what                = "gpu-utilization"
      description         = "The GPUs of the ${fleet} fleet have been ${var.settings.gpu_utilization_percent} % busy for 15 minutes. Every additional request slows the others down."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Average"
      period              = 300
      evaluation_periods  = 3
      threshold           = var.settings.gpu_utilization_percent
    }) },

    { for fleet in keys(var.fleets) : "${fleet}-gpu-temperature" => merge(local.alarm_defaults, local.custom[fleet].nvidia_smi_temperature_gpu, {
      what                = "gpu-temperature"
      description         = "A GPU of the ${fleet} fleet is at ${var.settings.gpu_temperature_celsius} degrees Celsius or more. It is about to reduce its clock, which slows its answers down."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      threshold           = var.settings.gpu_temperature_celsius
    }) },

    # Missing data is not a breach here: a fleet with 0 instances reports nothing and is healthy. If instances run but report
    # nothing, "gpu-silent" below fires.
    { for fleet in keys(var.fleets) : "${fleet}-gpu-missing" => merge(local.alarm_defaults, local.custom[fleet].GpuCount, {
      what                = "gpu-missing"
      description         = "An instance of the ${fleet} fleet sees no GPU (driver or hardware). It cannot answer, and the group should replace it."
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = 1
    }) },

    { for fleet in keys(var.fleets) : "${fleet}-gpu-errors" => merge(local.alarm_defaults, local.custom[fleet].GpuErrors, {
      what                = "gpu-errors"
      description         = "A GPU of the ${fleet} fleet reports errors (Xid or memory). Answers of that instance may fail or be wrong."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      period              = 300
      evaluation_periods  = 1
      datapoints_to_alarm = 1
      threshold           = 1
    }) },

    { for fleet in keys(var.fleets) : "${fleet}-model-on-cpu" => merge(local.alarm_defaults, local.custom[fleet].ModelOnGpu, {
      what                = "model-on-cpu"
      user_facing         = fleet == "interactive"
      description         = "On an instance of the ${fleet} fleet, the model is not entirely on the GPU. Its answers are many times slower."
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      threshold           = 1
    }) },
  )

  gpu_math_alarms = merge(
    # Occupancy, computed from used and total memory. nvidia-smi's utilization.memory is not occupancy: it is the percentage of
    # time in which memory was read or written. Both statistics are maxima: in a fleet of mixed types, the largest card may not be
    # the fullest, so the result is never too high.
    { for fleet in keys(var.fleets) : "${fleet}-gpu-memory" => merge(local.alarm_defaults, {
      what                = "gpu-memory"
      description         = "A GPU of the ${fleet} fleet uses ${var.settings.gpu_memory_percent} % of its memory or more. The next model or context that is loaded spills to the CPU and is slow."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      threshold           = var.settings.gpu_memory_percent
      label               = "GPU memory in use, percent"
      expression          = "100 * used / total"
      metrics = {
        total = merge(local.custom[fleet].nvidia_smi_memory_total, { stat = "Maximum" })
        used  = merge(local.custom[fleet].nvidia_smi_memory_used, { stat = "Maximum" })
      }
    }) },

    # Instances serve but report no GPU: the agent or gpu_metrics has failed, and all other alarms in this file are blind. The
    # periods are five minutes, so that a late data point does not count as missing.
    { for fleet in keys(var.fleets) : "${fleet}-gpu-silent" => merge(local.alarm_defaults, {
      what                = "gpu-silent"
      description         = "The ${fleet} fleet has instances in service, but none reports its GPUs. The GPU alarms are blind."
      period              = 300
      evaluation_periods  = 3
      datapoints_to_alarm = 3
      threshold           = 0
      label               = "1 when instances serve and report no GPU"
      expression          = "IF(FILL(serving, 0) > 0 AND FILL(reports, 0) < 1, 1, 0)"
      metrics = {
        reports = merge(local.custom[fleet].GpuCount, { stat = "SampleCount" })
        serving = {
          namespace   = "AWS/AutoScaling"
          metric_name = "GroupInServiceInstances"
          dimensions  = local.group_dimensions[fleet]
          stat        = "Maximum"
        }
      }
    }) },
  )
}
