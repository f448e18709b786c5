locals {
  gpu_metric_alarms = merge(
    { for fleet in keys(var.fleets) : "${fleet}-gpu-utilization" => merge(local.alarm_defaults, local.custom[fleet].nvidia_smi_utilization_gpu, {
      what                = "gpu-utilization"
      description         = "The GPUs of the ${fleet} fleet have been ${var.settings.gpu_utilization_percent} % busy for 15 minutes: every further request slows the others."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Average"
      period              = 300
      evaluation_periods  = 3
      threshold           = var.settings.gpu_utilization_percent
    }) },

    { for fleet in keys(var.fleets) : "${fleet}-gpu-temperature" => merge(local.alarm_defaults, local.custom[fleet].nvidia_smi_temperature_gpu, {
      what                = "gpu-temperature"
      description         = "A GPU of the ${fleet} fleet is at ${var.settings.gpu_temperature_celsius} degrees Celsius or more: it is about to lower its clock, and its answers slow down."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      threshold           = var.settings.gpu_temperature_celsius
    }) },

    # Missing data is no breach here: a fleet at 0 instances reports nothing and is healthy. Instances that report nothing ring
    # "gpu-silent" below.
    { for fleet in keys(var.fleets) : "${fleet}-gpu-missing" => merge(local.alarm_defaults, local.custom[fleet].GpuCount, {
      what                = "gpu-missing"
      description         = "An instance of the ${fleet} fleet sees no GPU (driver or hardware): it cannot answer, and the group should be replacing it."
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = 1
    }) },

    { for fleet in keys(var.fleets) : "${fleet}-gpu-errors" => merge(local.alarm_defaults, local.custom[fleet].GpuErrors, {
      what                = "gpu-errors"
      description         = "A GPU of the ${fleet} fleet reports errors (Xid or memory): answers may fail or be wrong on that instance."
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
      description         = "On an instance of the ${fleet} fleet the model is not wholly on the GPU: its answers come many times slower."
      comparison_operator = "LessThanThreshold"
      statistic           = "Minimum"
      threshold           = 1
    }) },
  )

  gpu_math_alarms = merge(
    # Occupancy from used and total. nvidia-smi's utilization.memory is not it: that is the share of time in which memory was read or
    # written. Both maxima: in a fleet of mixed types the largest card may be another one than the fullest, so the figure is never too high.
    { for fleet in keys(var.fleets) : "${fleet}-gpu-memory" => merge(local.alarm_defaults, {
      what                = "gpu-memory"
      description         = "A GPU of the ${fleet} fleet holds ${var.settings.gpu_memory_percent} % of its memory or more: the next model or context that is loaded spills to the CPU and is slow."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      threshold           = var.settings.gpu_memory_percent
      label               = "GPU memory in use, percent"
      expression          = "100 * used / total"
      metrics = {
        total = merge(local.custom[fleet].nvidia_smi_memory_total, { stat = "Maximum" })
        used  = merge(local.custom[fleet].nvidia_smi_memory_used, { stat = "Maximum" })
      }
    }) },

    # Instances serve and say nothing of a GPU: the agent or gpu_metrics is dead, and every other alarm of this file is blind. Five-minute
    # periods, so that a point which arrives late is no silence.
    { for fleet in keys(var.fleets) : "${fleet}-gpu-silent" => merge(local.alarm_defaults, {
      what                = "gpu-silent"
      description         = "The ${fleet} fleet has instances in service, yet none reports its GPUs: the GPU alarms are blind."
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
