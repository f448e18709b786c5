# What people wait for. Periods of 5 minutes, so that a fleet with 40 requests a minute already has the 200 samples that a p95 needs.
locals {
  latency_metric_alarms = merge(
    { for fleet in keys(var.fleets) : "${fleet}-first-token" => merge(local.alarm_defaults, local.custom[fleet].TimeToFirstToken, {
      what                = "first-token"
      user_facing         = fleet == "interactive"
      description         = "One answer in twenty of the ${fleet} fleet takes more than ${var.settings.time_to_first_token_p95_ms} ms to show its first word."
      extended_statistic  = "p95"
      period              = 300
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = var.settings.time_to_first_token_p95_ms
    }) },

    # TargetResponseTime ends with the response's headers. A browser's chat ends it when the POST returns, and the tokens then come
    # over a websocket that it does not see: it tells of slow pages and API calls, the alarm above of slow answers.
    { for fleet in keys(var.fleets) : "${fleet}-request-latency" => merge(local.alarm_defaults, {
      what                = "request-latency"
      user_facing         = fleet == "interactive"
      description         = "One request in twenty to the ${fleet} fleet waits more than ${var.settings.request_latency_p95_ms} ms for a response to begin: pages and API calls are slow."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "TargetResponseTime"
      dimensions          = local.target_dimensions[fleet]
      extended_statistic  = "p95"
      period              = 300
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = var.settings.request_latency_p95_ms / 1000 # CloudWatch has seconds
    }) },

    # The average over instances: one instance with a long queue is the balancer's affair, all of them are a fleet that is too small.
    { for fleet in keys(var.fleets) : "${fleet}-queue" => merge(local.alarm_defaults, local.custom[fleet].Queued, {
      what                = "queue"
      user_facing         = fleet == "interactive"
      description         = "On average ${var.settings.queued_per_instance} or more requests wait for a slot on each instance of the ${fleet} fleet: answers start late, and scaling has not caught up."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Average"
      threshold           = var.settings.queued_per_instance
    }) },

    # A rejection is a person who reads "busy". A burst is what the bounded queue is for; three minutes out of five is a shortage.
    { for fleet in keys(var.fleets) : "${fleet}-rejected" => merge(local.alarm_defaults, local.custom[fleet].Rejected, {
      what                = "rejected"
      user_facing         = fleet == "interactive"
      description         = "The gateways of the ${fleet} fleet turn requests away (503 with Retry-After): every slot is busy and the queue is full."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Sum"
      threshold           = 1
    }) },
  )
}
