# Latencies that users experience. Periods of 5 minutes, so that a fleet with 40 requests per minute has the 200 samples that a
# p95 needs.
locals {
  latency_metric_alarms = merge(
    { for fleet in keys(var.fleets) : "${fleet}-first-token" => merge(local.alarm_defaults, local.custom[fleet].TimeToFirstToken, {
      what                = "first-token"
      user_facing         = fleet == "interactive"
      description         = "5 % of the answers of the ${fleet} fleet take more than ${var.settings.time_to_first_token_p95_ms} ms until the first token."
      extended_statistic  = "p95"
      period              = 300
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = var.settings.time_to_first_token_p95_ms
    }) },

    # TargetResponseTime ends with the response's headers. For a chat in a browser, the POST returns at once, and the tokens come
    # over a websocket that this metric does not see. So this alarm detects slow pages and API calls; the alarm above detects slow
    # answers.
    { for fleet in keys(var.fleets) : "${fleet}-request-latency" => merge(local.alarm_defaults, {
      what                = "request-latency"
      user_facing         = fleet == "interactive"
      description         = "5 % of the requests to the ${fleet} fleet wait more than ${var.settings.request_latency_p95_ms} ms for the response to begin. Pages and API calls are slow."
      namespace           = "AWS/ApplicationELB"
      metric_name         = "TargetResponseTime"
      dimensions          = local.target_dimensions[fleet]
      extended_statistic  = "p95"
      period              = 300
      evaluation_periods  = 3
      datapoints_to_alarm = 2
      threshold           = var.settings.request_latency_p95_ms / 1000 # CloudWatch uses seconds
    }) },

    # The average over instances: balancing handles a single instance with a long queue; long queues on all instances mean that
    # the fleet is too small.
    { for fleet in keys(var.fleets) : "${fleet}-queue" => merge(local.alarm_defaults, local.custom[fleet].Queued, {
      what                = "queue"
      user_facing         = fleet == "interactive"
      description         = "On average, ${var.settings.queued_per_instance} or more requests wait for a slot on each instance of the ${fleet} fleet. Answers start late, and scaling has not caught up."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Average"
      threshold           = var.settings.queued_per_instance
    }) },

    # A user whose request is rejected sees "busy". The bounded queue absorbs a burst; rejections in three of five minutes mean
    # that capacity is missing.
    { for fleet in keys(var.fleets) : "${fleet}-rejected" => merge(local.alarm_defaults, local.custom[fleet].Rejected, {
      what                = "rejected"
      user_facing         = fleet == "interactive"
      description         = "The gateways of the ${fleet} fleet reject requests (503 with Retry-After). Every slot is busy and the queue is full."
      comparison_operator = "GreaterThanOrEqualToThreshold"
      statistic           = "Sum"
      threshold           = 1
    }) },
  )
}
