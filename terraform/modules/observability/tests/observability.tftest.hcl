# Computed values are known at plan time, so that the tests can compare references between resources.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan

  mock_resource "aws_cloudwatch_composite_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:test-service-degraded" }
  }
  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-east-1:123456789012:rule/test" }
  }
  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:test" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:test-alarms" }
  }
}

override_resource {
  target = aws_cloudwatch_log_group.this["events"]
  values = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:events" }

  override_during = plan
}

variables {
  backup_vault_name = "test-vault"
  contract          = yamldecode(file("../../../contract/instance.yaml"))
  data              = { cache_cluster_ids = ["test-cache-001", "test-cache-002"], database_id = "test-database", file_system_id = "fs-1" }
  environment       = "test"
  fleets = {
    batch       = { group_name = "test-batch", max_size = 2 }
    interactive = { group_name = "test-interactive", max_size = 4 }
  }
  kms_key_arn   = "arn:aws:kms:us-east-1:123456789012:key/logs"
  load_balancer = { arn_suffix = "app/test/1" }
  log_groups    = { events = "/aws/events/test", gateway = "/test/gateway", instance = "/test/instance" }
  name          = "test"
  region        = "us-east-1"
  settings = {
    database_connections            = 800
    database_free_storage_gib       = 20
    emails                          = ["ops@example.org", "oncall@example.org"]
    error_percent                   = 2
    gpu_memory_percent              = 95
    gpu_temperature_celsius         = 85
    gpu_utilization_percent         = 95
    notification_requires_composite = false
    queued_per_instance             = 8
    request_latency_p95_ms          = 2000
    time_to_first_token_p95_ms      = 2000
  }
  target_groups = {
    batch       = { arn_suffix = "targetgroup/batch/2" }
    interactive = { arn_suffix = "targetgroup/interactive/1" }
  }
}

# Requirement 5.1, 5.4
run "each_fleet_has_gpu_alarms_on_metrics_that_its_instances_publish" {
  command = plan

  assert {
    condition = alltrue(flatten([for fleet in keys(var.fleets) : [for what, wanted in {
      gpu-utilization = "nvidia_smi_utilization_gpu Average >= ${var.settings.gpu_utilization_percent}"
      gpu-temperature = "nvidia_smi_temperature_gpu Maximum >= ${var.settings.gpu_temperature_celsius}"
      gpu-missing     = "GpuCount Minimum < 1"
      gpu-errors      = "GpuErrors Maximum >= 1"
      model-on-cpu    = "ModelOnGpu Minimum < 1"
      } : [for alarm in [aws_cloudwatch_metric_alarm.metric["${fleet}-${what}"]] : join(" ", [
        alarm.metric_name, alarm.statistic, alarm.comparison_operator == "LessThanThreshold" ? "<" : ">=", alarm.threshold
    ]) == wanted && alarm.namespace == var.contract.metrics.namespace && alarm.dimensions == tomap({ AutoScalingGroupName = var.fleets[fleet].group_name })]]]))
    error_message = "each fleet needs alarms on utilization, temperature, missing GPUs, errors, and a model that is not on the GPU"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for query in aws_cloudwatch_metric_alarm.math["${fleet}-gpu-memory"].metric_query : query.expression if query.return_data] == ["100 * used / total"]
      && toset(flatten(aws_cloudwatch_metric_alarm.math["${fleet}-gpu-memory"].metric_query[*].metric[*].metric_name)) == toset(["nvidia_smi_memory_total", "nvidia_smi_memory_used"])
    && aws_cloudwatch_metric_alarm.math["${fleet}-gpu-memory"].threshold == 95])
    error_message = "the percentage of GPU memory in use needs an alarm"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for query in aws_cloudwatch_metric_alarm.math["${fleet}-gpu-silent"].metric_query : query.expression if query.return_data
    ] == ["IF(FILL(serving, 0) > 0 AND FILL(reports, 0) < 1, 1, 0)"]])
    error_message = "instances that serve but report no GPU need an alarm, because all other GPU alarms are blind"
  }
}

# Requirement 5.1
run "alarms_and_dashboard_use_only_metrics_of_the_contract" {
  command = plan

  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.metric : anytrue([
      for dimensions in try(var.contract.metrics.names[alarm.metric_name].dimensions, []) : toset(dimensions) == toset(keys(alarm.dimensions))
    ]) if alarm.namespace == var.contract.metrics.namespace])
    error_message = "an alarm on a metric that is never published never fires"
  }
  assert {
    condition = alltrue([for metric in flatten([for alarm in aws_cloudwatch_metric_alarm.math : flatten(alarm.metric_query[*].metric)]) : anytrue([
      for dimensions in try(var.contract.metrics.names[metric.metric_name].dimensions, []) : toset(dimensions) == toset(keys(metric.dimensions))
    ]) if metric.namespace == var.contract.metrics.namespace])
    error_message = "an expression on a metric that is never published never fires"
  }
  assert {
    # A line is [namespace, metric, dimension, value, ..., options]; lines in this namespace have only the group's dimension.
    condition = alltrue([for line in flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
      for line in try(widget.properties.metrics, []) : { namespace = try(line[0], ""), metric = try(line[1], ""), dimension = try(line[2], "") }
      ]]) : contains(try(var.contract.metrics.names[line.metric].dimensions, []), tolist([line.dimension]))
    if line.namespace == var.contract.metrics.namespace])
    error_message = "a dashboard line of a metric that is never published stays empty"
  }
}

# Requirement 1.5, 5.2
run "alarms_fire_on_slow_answers" {
  command = plan

  variables {
    settings = merge(var.settings, { request_latency_p95_ms = 1500, time_to_first_token_p95_ms = 1800 })
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for alarm in [aws_cloudwatch_metric_alarm.metric["${fleet}-first-token"]] :
    "${alarm.metric_name} ${alarm.extended_statistic} ${alarm.comparison_operator} ${alarm.threshold}"] == ["TimeToFirstToken p95 GreaterThanThreshold 1800"]])
    error_message = "a p95 above time_to_first_token_p95_ms must fire"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for alarm in [aws_cloudwatch_metric_alarm.metric["${fleet}-request-latency"]] :
    "${alarm.namespace} ${alarm.metric_name} ${alarm.extended_statistic} ${alarm.threshold} ${alarm.dimensions.TargetGroup}"] == ["AWS/ApplicationELB TargetResponseTime p95 1.5 ${var.target_groups[fleet].arn_suffix}"]])
    error_message = "a p95 above request_latency_p95_ms must fire, and CloudWatch counts in seconds"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : aws_cloudwatch_metric_alarm.metric["${fleet}-queue"].metric_name == "Queued" && aws_cloudwatch_metric_alarm.metric["${fleet}-queue"].threshold == 8
    && aws_cloudwatch_metric_alarm.metric["${fleet}-rejected"].metric_name == "Rejected"])
    error_message = "queued and rejected requests need alarms"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.metric : alarm.evaluate_low_sample_count_percentiles == "ignore" if alarm.extended_statistic != null])
    error_message = "a percentile of a few requests must not change the state"
  }
}

# Requirement 5.3
run "scaling_spot_and_refresh_events_are_logged_with_time_and_reason" {
  command = plan

  assert {
    condition = (toset(jsondecode(aws_cloudwatch_event_rule.this["scaling"].event_pattern).detail.AutoScalingGroupName) == toset(["test-batch", "test-interactive"])
      && length(setsubtract(["EC2 Instance Launch Successful", "EC2 Instance Launch Unsuccessful", "EC2 Instance Terminate Successful", "EC2 Auto Scaling Instance Refresh Failed"],
    jsondecode(aws_cloudwatch_event_rule.this["scaling"].event_pattern).detail-type)) == 0)
    error_message = "launches, terminations and refreshes of every fleet must match"
  }
  assert {
    condition     = contains(jsondecode(aws_cloudwatch_event_rule.this["spot"].event_pattern).detail-type, "EC2 Spot Instance Interruption Warning")
    error_message = "spot notices must match"
  }
  assert {
    # Without input_transformer, the whole event is kept, including its time and cause.
    condition = alltrue([for rule in ["backup", "health", "scaling", "spot"] : aws_cloudwatch_event_target.log[rule].arn == aws_cloudwatch_log_group.this["events"].arn
      && aws_cloudwatch_event_target.log[rule].rule == aws_cloudwatch_event_rule.this[rule].name && length(aws_cloudwatch_event_target.log[rule].input_transformer) == 0
    && aws_cloudwatch_event_target.log[rule].input_path == null])
    error_message = "events must reach the log group unchanged"
  }
  assert {
    condition = (aws_cloudwatch_log_group.this["events"].retention_in_days == 365 && strcontains(aws_cloudwatch_query_definition.this["scaling-events"].query_string, "fields time")
    && strcontains(aws_cloudwatch_query_definition.this["scaling-events"].query_string, "detail.Cause"))
    error_message = "a saved query must show time and cause"
  }
}

# Requirement 5.4
run "every_alarm_and_failed_launch_notifies_the_administrators" {
  command = plan

  assert {
    condition = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.metric), values(aws_cloudwatch_metric_alarm.math)) :
    alarm.actions_enabled && alarm.alarm_actions == toset([aws_sns_topic.this.arn]) && alarm.ok_actions == toset([aws_sns_topic.this.arn])])
    error_message = "an alarm must notify when it fires and when it recovers"
  }
  assert {
    condition     = { for subscription in aws_sns_topic_subscription.email : subscription.endpoint => subscription.protocol } == { "oncall@example.org" = "email", "ops@example.org" = "email" }
    error_message = "every address of alarms.emails must be subscribed"
  }
  assert {
    condition = (aws_cloudwatch_event_target.topic["scaling-failures"].arn == aws_sns_topic.this.arn
    && contains(jsondecode(aws_cloudwatch_event_rule.this["scaling-failures"].event_pattern).detail-type, "EC2 Instance Launch Unsuccessful"))
    error_message = "a failed launch must send a notification"
  }
  assert {
    condition = length(setsubtract([
      "edge-errors", "database-storage", "database-connections", "cache-memory", "backup-failed", "restore-failed", "files-io-limit",
      "interactive-unhealthy-hosts", "interactive-no-healthy-host", "interactive-no-instances", "interactive-capacity-at-max", "batch-capacity-at-max",
    ], keys(output.alarm_names))) == 0
    error_message = "errors, hosts, capacity, stores and backups need alarms"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["interactive-no-healthy-host"].treat_missing_data == "ignore" && aws_cloudwatch_metric_alarm.metric["batch-no-healthy-host"].treat_missing_data == "notBreaching"
    error_message = "an empty target group reports nothing: interactive keeps its state, so that a first deploy does not fire, normal for batch"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["interactive-no-instances"].period * aws_cloudwatch_metric_alarm.metric["interactive-no-instances"].datapoints_to_alarm == 1800
    error_message = "a fleet that stays empty must fire, later than a first deploy takes"
  }
}

# Requirement 7
run "exceeding_the_monthly_budget_notifies_the_administrators" {
  command = plan

  variables {
    settings = merge(var.settings, { monthly_budget_usd = 1200 })
  }
  assert {
    condition     = aws_budgets_budget.monthly[0].limit_amount == "1200" && one(aws_budgets_budget.monthly[0].cost_filter).values == tolist(["user:Environment$test"])
    error_message = "the budget must cover the resources with the environment's tag"
  }
  assert {
    condition = { for each in aws_budgets_budget.monthly[0].notification : each.notification_type => each.threshold } == { ACTUAL = 80, FORECASTED = 100 } && alltrue([
    for each in aws_budgets_budget.monthly[0].notification : each.subscriber_sns_topic_arns == toset([aws_sns_topic.this.arn])])
    error_message = "actual and forecast cost must notify the administrators"
  }
}

run "no_budget_is_created_without_an_amount" {
  command = plan

  assert {
    condition     = length(aws_budgets_budget.monthly) == 0
    error_message = "a budget without an amount"
  }
}

# Requirement 5.4
run "one_composite_alarm_covers_all_user_facing_alarms_except_batch" {
  command = plan

  variables {
    settings = merge(var.settings, { notification_requires_composite = true })
  }
  assert {
    condition = toset(regexall("ALARM\\(\"test-[a-z-]+\"\\)", aws_cloudwatch_composite_alarm.this.alarm_rule)) == toset([for alarm in [
      "edge-errors", "interactive-first-token", "interactive-model-on-cpu", "interactive-no-healthy-host", "interactive-no-instances", "interactive-queue", "interactive-rejected", "interactive-request-latency",
    ] : "ALARM(\"test-${alarm}\")"]) && !strcontains(aws_cloudwatch_composite_alarm.this.alarm_rule, " AND ")
    error_message = "any user-facing alarm must fire the composite alarm"
  }
  assert {
    condition     = aws_cloudwatch_composite_alarm.this.alarm_actions == toset([aws_sns_topic.this.arn])
    error_message = "the composite alarm must notify the topic"
  }
  assert {
    condition = (!aws_cloudwatch_metric_alarm.metric["interactive-first-token"].actions_enabled && aws_cloudwatch_metric_alarm.metric["database-storage"].actions_enabled
    && aws_cloudwatch_metric_alarm.math["backup-failed"].actions_enabled)
    error_message = "only alarms that the composite covers may be silent, because no other alarm reports a full disk"
  }
}

# Requirement 10.4
run "a_rollout_watches_alarms_of_a_bad_release_but_not_of_high_load" {
  command = plan

  assert {
    condition = output.rollout_alarm_names == {
      batch = tolist(["test-batch-first-token", "test-batch-model-on-cpu", "test-batch-no-healthy-host", "test-batch-rejected", "test-batch-request-latency"])
      interactive = tolist(["test-edge-errors", "test-interactive-first-token", "test-interactive-model-on-cpu", "test-interactive-no-healthy-host",
      "test-interactive-rejected", "test-interactive-request-latency"])
    }
    error_message = "a rollout must watch its own fleet's alarms, the interactive fleet also the front door's, and at most 10 (AWS's limit)"
  }
}

# Requirement 5.5
run "the_dashboard_shows_gpus_latency_throughput_and_related_metrics" {
  command = plan

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : trimprefix(widget.properties.markdown, "## ") if widget.type == "text"] == [
    "Alarms of test", "GPU", "Latency", "Throughput", "Queue and slots", "Fleet", "Data", "Scaling, spot and refresh events"]
    error_message = "the dashboard must have its rows"
  }
  assert {
    condition = alltrue([for title, metric in {
      "GPU utilization"                = "nvidia_smi_utilization_gpu"
      "Time to first token"            = "TimeToFirstToken"
      "Inference requests a minute"    = "Requests"
      "Load balancer: server errors"   = "HTTPCode_Target_5XX_Count"
      "Queued on an instance"          = "Queued"
      "Hosts behind the load balancer" = "UnHealthyHostCount"
      } : contains(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
    for line in widget.properties.metrics : line[1]] if try(widget.properties.title, "") == title]), metric)])
    error_message = "GPU utilization, latency and throughput must be shown"
  }
  assert {
    condition = alltrue([for fleet in values(var.fleets) : contains(flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
    for line in widget.properties.metrics : line[3]] if try(widget.properties.title, "") == "GPU utilization"]), fleet.group_name)])
    error_message = "every fleet must have a line"
  }
  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24])
    error_message = "CloudWatch's grid has 24 columns"
  }
  assert {
    condition     = output.dashboard_url == "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/test"
    error_message = "the URL must open the dashboard in the console"
  }
}

# Requirement 9.4, 9.5
run "logs_and_notifications_are_encrypted_and_only_their_sources_may_write" {
  command = plan

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.kms_key_id == var.kms_key_arn]) && aws_sns_topic.this.kms_master_key_id == var.kms_key_arn
    error_message = "log groups and topic must be encrypted by the customer managed key"
  }
  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.topic.statement : statement.actions == toset(["sns:Publish"]) && statement.resources == toset([aws_sns_topic.this.arn])
      && length(statement.condition) == 1]) && [for statement in data.aws_iam_policy_document.topic.statement : statement.effect if contains(flatten(statement.principals[*].identifiers), "*")
    ] == ["Deny"]
    error_message = "publishing must be restricted to sources in this account, and denied without TLS"
  }
  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.events_log.statement : alltrue([for resource in statement.resources : startswith(resource, "${aws_cloudwatch_log_group.this["events"].arn}:")])
    && length(setsubtract(statement.actions, ["logs:CreateLogStream", "logs:PutLogEvents"])) == 0])
    error_message = "EventBridge may write only to streams of the events' log group"
  }
}

run "a_log_group_that_eventbridge_cannot_write_to_is_refused" {
  command = plan

  variables {
    log_groups = { events = "/test/events", gateway = "/test/gateway", instance = "/test/instance" }
  }
  expect_failures = [var.log_groups]
}
