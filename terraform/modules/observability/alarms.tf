# Creates every alarm from the maps in alarms_*.tf. An alarm costs 0.10 USD per month for each metric that it reads, so alarms
# watch a fleet or a store, never a single instance.
locals {
  alarm_defaults = {
    comparison_operator = "GreaterThanThreshold"
    datapoints_to_alarm = 3
    evaluation_periods  = 5
    extended_statistic  = null
    missing             = "notBreaching"
    period              = 60
    statistic           = null
    user_facing         = false # true: users are affected now, so the alarm is part of the composite alarm
  }

  metric_alarms = merge(
    local.backup_metric_alarms,
    local.data_metric_alarms,
    local.fleet_metric_alarms,
    local.gpu_metric_alarms,
    local.latency_metric_alarms,
  )
  math_alarms = merge(
    local.backup_math_alarms,
    local.data_math_alarms,
    local.fleet_math_alarms,
    local.gpu_math_alarms,
  )

  # With notification_requires_composite, an alarm that the composite covers sends no notification. The others still send, because
  # no other alarm would report a failed backup or a full disk.
  sends = { for key, alarm in merge(local.metric_alarms, local.math_alarms) : key =>
    !(var.settings.notification_requires_composite && alarm.user_facing)
  }
}

resource "aws_cloudwatch_metric_alarm" "metric" {
  for_each = local.metric_alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.description} Runbook: docs/operations.md#alarm-${each.value.what}"
  actions_enabled   = local.sends[each.key]
  alarm_actions     = [aws_sns_topic.this.arn]
  ok_actions        = [aws_sns_topic.this.arn]

  namespace           = each.value.namespace
  metric_name         = each.value.metric_name
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  extended_statistic  = each.value.extended_statistic
  period              = each.value.period
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  comparison_operator = each.value.comparison_operator
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing

  # Below 10 / (1 - 0.95) = 200 samples per period, a p95 depends on a few slow requests. Such a period does not change the state.
  evaluate_low_sample_count_percentiles = each.value.extended_statistic == null ? null : "ignore"
}

# Alarms on an expression. AWS limits: one returned series, at most 10 metrics, no SEARCH.
resource "aws_cloudwatch_metric_alarm" "math" {
  for_each = local.math_alarms

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.description} Runbook: docs/operations.md#alarm-${each.value.what}"
  actions_enabled   = local.sends[each.key]
  alarm_actions     = [aws_sns_topic.this.arn]
  ok_actions        = [aws_sns_topic.this.arn]

  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  comparison_operator = each.value.comparison_operator
  threshold           = each.value.threshold
  treat_missing_data  = each.value.missing

  metric_query {
    id          = "result"
    expression  = each.value.expression
    label       = each.value.label
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric_name
        dimensions  = metric_query.value.dimensions
        period      = each.value.period
        stat        = metric_query.value.stat
      }
    }
  }
}
