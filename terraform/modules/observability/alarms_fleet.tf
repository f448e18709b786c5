locals {
  # Below this number of requests in 5 minutes, the error percentage is meaningless: one failure in ten is 10 %.
  error_floor = 50

  fleet_metric_alarms = merge(
    { for fleet in keys(var.fleets) : "${fleet}-unhealthy-hosts" => merge(local.alarm_defaults, {
      what                = "unhealthy-hosts"
      description         = "The load balancer has sent no requests to an instance of the ${fleet} fleet for 5 minutes, and the group has not replaced the instance yet. The other instances carry its load."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "UnHealthyHostCount"
      dimensions          = local.target_dimensions[fleet]
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      datapoints_to_alarm = 5
      threshold           = 1
    }) },

    # An empty target group reports nothing, which keeps the state: a new environment stays in INSUFFICIENT_DATA until its first
    # instance is registered, and an outage stays in ALARM while its instances are replaced. A fleet that became empty without an
    # unhealthy minute fires "no-instances". For another fleet than `interactive` an empty group is normal. Maximum over the load
    # balancer's nodes: none of the nodes sees a healthy host.
    { for fleet in keys(var.fleets) : "${fleet}-no-healthy-host" => merge(local.alarm_defaults, {
      what                = "no-healthy-host"
      user_facing         = fleet == "interactive"
      description         = "No instance of the ${fleet} fleet is healthy. Users get no answers."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "HealthyHostCount"
      dimensions          = local.target_dimensions[fleet]
      comparison_operator = "LessThanThreshold"
      statistic           = "Maximum"
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      missing             = fleet == "interactive" ? "ignore" : "notBreaching"
      threshold           = 1
    }) },

    # `interactive` always has instances. Half an hour is longer than a first deploy, whose stock image converges in 15 minutes.
    { for fleet in keys(var.fleets) : "${fleet}-no-instances" => merge(local.alarm_defaults, {
      what                = "no-instances"
      user_facing         = true
      description         = "The ${fleet} fleet has had no instance in service for 30 minutes. Users get no answers."
      namespace           = "AWS/AutoScaling"
      metric_name         = "GroupInServiceInstances"
      dimensions          = local.group_dimensions[fleet]
      comparison_operator = "LessThanThreshold"
      statistic           = "Maximum"
      period              = 300
      evaluation_periods  = 6
      datapoints_to_alarm = 6
      threshold           = 1
    }) if fleet == "interactive" },
  )

  fleet_math_alarms = merge(
    # Covers the whole front door: errors that the load balancer itself returns have no target group. Its 503s are excluded: they
    # mean that a target group is empty, which is normal for `batch` (and wakes it) and fires "no-healthy-host" for `interactive`.
    # The denominator includes the errors, because errors without a target are not in RequestCount. Error counts are sent only if
    # there are errors, hence FILL.
    { "edge-errors" = merge(local.alarm_defaults, {
      what                = "edge-errors"
      user_facing         = true
      description         = "More than ${var.settings.error_percent} % of the requests to the load balancer end in a server error (5xx). Users see failures."
      period              = 300
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = var.settings.error_percent
      label               = "5xx, percent of requests"
      expression = join("", [
        "IF(FILL(requests, 0) >= ${local.error_floor}, ",
        "100 * (FILL(balancer, 0) - FILL(empty, 0) + FILL(target, 0)) / (FILL(requests, 0) + FILL(balancer, 0) - FILL(empty, 0)), 0)",
      ])
      metrics = { for id, metric_name in {
        balancer = "HTTPCode_ELB_5XX_Count"
        empty    = "HTTPCode_ELB_503_Count"
        requests = "RequestCount"
        target   = "HTTPCode_Target_5XX_Count"
        } : id => {
        namespace   = "AWS/ApplicationELB"
        metric_name = metric_name
        dimensions  = local.balancer_dimensions
        stat        = "Sum"
      } }
    }) },

    # A fleet whose minimum equals its maximum is always at its maximum, so it has no alarm.
    { for fleet, group in var.fleets : "${fleet}-capacity-at-max" => merge(local.alarm_defaults, {
      what               = "capacity-at-max"
      description        = "The ${fleet} fleet has run ${group.max_size} instances, its max_size, for 15 minutes. It cannot grow, and more load makes users wait."
      period             = 300
      evaluation_periods = 3
      threshold          = 0
      label              = "1 when the fleet cannot grow"
      expression         = "IF(serving >= ${group.max_size} AND minimum < ${group.max_size}, 1, 0)"
      metrics = { for id, metric_name in { minimum = "GroupMinSize", serving = "GroupInServiceInstances" } : id => {
        namespace   = "AWS/AutoScaling"
        metric_name = metric_name
        dimensions  = local.group_dimensions[fleet]
        stat        = "Minimum"
      } }
    }) },
  )
}
