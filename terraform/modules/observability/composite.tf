# One alarm that means "people are being failed": any of the user-facing ones. AWS allows 100 children and 10240 characters.
# AWS deletes no alarm that a composite names, so a user-facing alarm is renamed or removed in two releases: first out of the
# rule. create_before_destroy would do it in one, but it spreads to all that an alarm depends on: load balancer, listener, DNS records
# (docs/traps.md).
resource "aws_cloudwatch_composite_alarm" "this" {
  alarm_name        = "${var.name}-service-degraded"
  alarm_description = "People get slow answers, errors or none: at least one user-facing alarm rings. Runbook: docs/operations.md#alarm-service-degraded"
  alarm_actions     = [aws_sns_topic.this.arn]
  ok_actions        = [aws_sns_topic.this.arn]

  alarm_rule = join(" OR ", [
    for key, alarm in merge(local.metric_alarms, local.math_alarms) :
    "ALARM(\"${local.alarm_resources[key].alarm_name}\")" if alarm.user_facing
  ])
}

locals {
  alarm_resources = merge(aws_cloudwatch_metric_alarm.metric, aws_cloudwatch_metric_alarm.math)
}
