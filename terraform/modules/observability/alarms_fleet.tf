locals {
  # Below so many requests in 5 minutes a share of errors says nothing: one failure in ten is 10 %.
  error_floor = 50

  fleet_metric_alarms = merge(
    { for fleet in keys(var.fleets) : "${fleet}-unhealthy-hosts" => merge(local.alarm_defaults, {
      what                = "unhealthy-hosts"
      description         = "The load balancer has sent nothing to an instance of the ${fleet} fleet for 5 minutes, and the group has not replaced it yet: the others carry its load."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "UnHealthyHostCount"
      dimensions          = local.target_dimensions[fleet]
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Maximum"
      datapoints_to_alarm = 5
      threshold           = 1
    }) },

    # An empty target group reports nothing. For `interactive`, which never stands at 0, that is an outage; for another fleet it is rest.
    # Maximum over the load balancer's nodes: none of them sees a healthy host.
    { for fleet in keys(var.fleets) : "${fleet}-no-healthy-host" => merge(local.alarm_defaults, {
      what                = "no-healthy-host"
      user_facing         = fleet == "interactive"
      description         = "No instance of the ${fleet} fleet is healthy: nobody gets an answer."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "HealthyHostCount"
      dimensions          = local.target_dimensions[fleet]
      comparison_operator = "LessThanThreshold"
      statistic           = "Maximum"
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      missing             = fleet == "interactive" ? "breaching" : "notBreaching"
      threshold           = 1
    }) },
  )

  fleet_math_alarms = merge(
    # Of the whole front door: errors that the load balancer itself answers have no target group. Without its 503: it says that a target
    # group is empty, which for `batch` is rest (and wakes it) and for `interactive` rings "no-healthy-host". Errors count below the line
    # too, since those without a target are not in RequestCount. Counts of errors are sent only when there are some, hence FILL.
    { "edge-errors" = merge(local.alarm_defaults, {
      what                = "edge-errors"
      user_facing         = true
      description         = "More than ${var.settings.error_percent} % of the requests at the load balancer end in a server error (5xx): people see failures."
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

    # A fleet whose minimum is its maximum always stands there: no alarm.
    { for fleet, group in var.fleets : "${fleet}-capacity-at-max" => merge(local.alarm_defaults, {
      what               = "capacity-at-max"
      description        = "The ${fleet} fleet has run all ${group.max_size} instances that max_size allows for 15 minutes: it cannot grow, and further load makes people wait."
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
