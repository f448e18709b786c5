locals {
  console_host = lookup({
    aws-cn     = "console.amazonaws.cn"
    aws-us-gov = "console.amazonaws-us-gov.com"
  }, local.partition, "${var.region}.console.aws.amazon.com")
}

locals {
  # Without `queue` and `capacity-at-max`: load alone fires them, and a rollback would not add instances.
  rollout_whats = ["edge-errors", "first-token", "model-on-cpu", "no-healthy-host", "rejected", "request-latency"]
}

output "alarm_names" {
  description = "Names of the alarms, by what they watch (\"interactive-first-token\", \"database-cpu\", ...)."
  value       = { for key, alarm in local.alarm_resources : key => alarm.alarm_name }
}

output "composite_alarm_name" {
  description = "Name of the composite alarm, which fires when users are affected."
  value       = aws_cloudwatch_composite_alarm.this.alarm_name
}

output "dashboard_name" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "dashboard_url" {
  description = "URL of the dashboard in the console."
  value       = "https://${local.console_host}/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}

output "log_group_arns" {
  description = "ARNs of the log groups: instance, gateway, events."
  value       = { for key, group in aws_cloudwatch_log_group.this : key => group.arn }
}

output "rollout_alarm_names" {
  description = "For each fleet, the names of the alarms that roll back a rollout while one of them is in ALARM. At most 10, the limit of an instance refresh."
  value = { for fleet in keys(var.fleets) : fleet => sort([
    for key, alarm in merge(local.metric_alarms, local.math_alarms) : local.alarm_resources[key].alarm_name
    if contains(local.rollout_whats, alarm.what) && (startswith(key, "${fleet}-") || (fleet == "interactive" && key == alarm.what))
  ]) }
}

output "topic_arn" {
  description = "ARN of the topic that the alarms publish to. Available once its policy exists, so that no notification is refused."
  value       = aws_sns_topic.this.arn

  depends_on = [aws_sns_topic_policy.this]
}
