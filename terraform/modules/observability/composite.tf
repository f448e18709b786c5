# One alarm for "users are affected": any user-facing alarm. AWS allows 100 children and 10240 characters.
# AWS does not delete an alarm that a composite names, so renaming or removing a user-facing alarm takes two releases: first
# remove it from the rule. create_before_destroy would do it in one release, but it spreads to everything that an alarm depends
# on: load balancer, listener, DNS records (docs/traps.md).
resource "aws_cloudwatch_composite_alarm" "this" {
  alarm_name        = "${var.name}-service-degraded"
  alarm_description = "Users get slow answers, errors, or no answers: at least one user-facing alarm is in ALARM. Runbook: docs/operations.md#alarm-service-degraded"
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
