# Computed values are known already in the plan, so that what is wired to what can be compared.
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
run "each_fleets_gpus_are_watched_by_the_figures_that_its_instances_report" {
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
    error_message = "utilization, temperature, missing GPUs, errors and a model beside the GPU must ring, per fleet"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for query in aws_cloudwatch_metric_alarm.math["${fleet}-gpu-memory"].metric_query : query.expression if query.return_data] == ["100 * used / total"]
      && toset(flatten(aws_cloudwatch_metric_alarm.math["${fleet}-gpu-memory"].metric_query[*].metric[*].metric_name)) == toset(["nvidia_smi_memory_total", "nvidia_smi_memory_used"])
    && aws_cloudwatch_metric_alarm.math["${fleet}-gpu-memory"].threshold == 95])
    error_message = "the share of GPU memory in use must ring"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for query in aws_cloudwatch_metric_alarm.math["${fleet}-gpu-silent"].metric_query : query.expression if query.return_data
    ] == ["IF(FILL(serving, 0) > 0 AND FILL(reports, 0) < 1, 1, 0)"]])
    error_message = "instances that serve and report no GPU must ring: every other GPU alarm is blind then"
  }
}

# Requirement 5.1
run "alarms_and_dashboard_use_no_figure_and_dimension_that_the_contract_lacks" {
  command = plan

  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.metric : anytrue([
      for dimensions in try(var.contract.metrics.names[alarm.metric_name].dimensions, []) : toset(dimensions) == toset(keys(alarm.dimensions))
    ]) if alarm.namespace == var.contract.metrics.namespace])
    error_message = "an alarm on a figure that nobody publishes never rings"
  }
  assert {
    condition = alltrue([for metric in flatten([for alarm in aws_cloudwatch_metric_alarm.math : flatten(alarm.metric_query[*].metric)]) : anytrue([
      for dimensions in try(var.contract.metrics.names[metric.metric_name].dimensions, []) : toset(dimensions) == toset(keys(metric.dimensions))
    ]) if metric.namespace == var.contract.metrics.namespace])
    error_message = "an expression on a figure that nobody publishes never rings"
  }
  assert {
    # A line is [namespace, metric, dimension, value, ..., options]; those of this namespace have the group's dimension alone.
    condition = alltrue([for line in flatten([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : [
      for line in try(widget.properties.metrics, []) : { namespace = try(line[0], ""), metric = try(line[1], ""), dimension = try(line[2], "") }
      ]]) : contains(try(var.contract.metrics.names[line.metric].dimensions, []), tolist([line.dimension]))
    if line.namespace == var.contract.metrics.namespace])
    error_message = "a line of a figure that nobody publishes stays empty"
  }
}

# Requirement 1.5, 5.2
run "slow_answers_ring" {
  command = plan

  variables {
    settings = merge(var.settings, { request_latency_p95_ms = 1500, time_to_first_token_p95_ms = 1800 })
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for alarm in [aws_cloudwatch_metric_alarm.metric["${fleet}-first-token"]] :
    "${alarm.metric_name} ${alarm.extended_statistic} ${alarm.comparison_operator} ${alarm.threshold}"] == ["TimeToFirstToken p95 GreaterThanThreshold 1800"]])
    error_message = "one first word in twenty beyond time_to_first_token_p95_ms must ring"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : [for alarm in [aws_cloudwatch_metric_alarm.metric["${fleet}-request-latency"]] :
    "${alarm.namespace} ${alarm.metric_name} ${alarm.extended_statistic} ${alarm.threshold} ${alarm.dimensions.TargetGroup}"] == ["AWS/ApplicationELB TargetResponseTime p95 1.5 ${var.target_groups[fleet].arn_suffix}"]])
    error_message = "one request in twenty beyond request_latency_p95_ms must ring, and CloudWatch counts in seconds"
  }
  assert {
    condition = alltrue([for fleet in keys(var.fleets) : aws_cloudwatch_metric_alarm.metric["${fleet}-queue"].metric_name == "Queued" && aws_cloudwatch_metric_alarm.metric["${fleet}-queue"].threshold == 8
    && aws_cloudwatch_metric_alarm.metric["${fleet}-rejected"].metric_name == "Rejected"])
    error_message = "waiting and rejected requests must ring"
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.metric : alarm.evaluate_low_sample_count_percentiles == "ignore" if alarm.extended_statistic != null])
    error_message = "a percentile of a few requests must change nothing"
  }
}

# Requirement 5.3
run "scaling_spot_and_refresh_events_are_kept_with_time_and_reason" {
  command = plan

  assert {
    condition = (toset(jsondecode(aws_cloudwatch_event_rule.this["scaling"].event_pattern).detail.AutoScalingGroupName) == toset(["test-batch", "test-interactive"])
      && length(setsubtract(["EC2 Instance Launch Successful", "EC2 Instance Launch Unsuccessful", "EC2 Instance Terminate Successful", "EC2 Auto Scaling Instance Refresh Failed"],
    jsondecode(aws_cloudwatch_event_rule.this["scaling"].event_pattern).detail-type)) == 0)
    error_message = "launches, terminations and refreshes of every fleet must be caught"
  }
  assert {
    condition     = contains(jsondecode(aws_cloudwatch_event_rule.this["spot"].event_pattern).detail-type, "EC2 Spot Instance Interruption Warning")
    error_message = "spot notices must be caught"
  }
  assert {
    # Without input_transformer the whole event is kept, its time and cause with it.
    condition = alltrue([for rule in ["backup", "health", "scaling", "spot"] : aws_cloudwatch_event_target.log[rule].arn == aws_cloudwatch_log_group.this["events"].arn
      && aws_cloudwatch_event_target.log[rule].rule == aws_cloudwatch_event_rule.this[rule].name && length(aws_cloudwatch_event_target.log[rule].input_transformer) == 0
    && aws_cloudwatch_event_target.log[rule].input_path == null])
    error_message = "events must reach the log group whole"
  }
  assert {
    condition = (aws_cloudwatch_log_group.this["events"].retention_in_days == 365 && strcontains(aws_cloudwatch_query_definition.this["scaling-events"].query_string, "fields time")
    && strcontains(aws_cloudwatch_query_definition.this["scaling-events"].query_string, "detail.Cause"))
    error_message = "a saved query must show when and why"
  }
}

# Requirement 5.4
run "every_alarm_and_every_failed_launch_is_told_to_the_administrators" {
  command = plan

  assert {
    condition = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.metric), values(aws_cloudwatch_metric_alarm.math)) :
    alarm.actions_enabled && alarm.alarm_actions == toset([aws_sns_topic.this.arn]) && alarm.ok_actions == toset([aws_sns_topic.this.arn])])
    error_message = "an alarm must send when it rings and when it is over"
  }
  assert {
    condition     = { for subscription in aws_sns_topic_subscription.email : subscription.endpoint => subscription.protocol } == { "oncall@example.org" = "email", "ops@example.org" = "email" }
    error_message = "every address of alarms.emails must be subscribed"
  }
  assert {
    condition = (aws_cloudwatch_event_target.topic["scaling-failures"].arn == aws_sns_topic.this.arn
    && contains(jsondecode(aws_cloudwatch_event_rule.this["scaling-failures"].event_pattern).detail-type, "EC2 Instance Launch Unsuccessful"))
    error_message = "a failed launch must be told"
  }
  assert {
    condition = length(setsubtract([
      "edge-errors", "database-storage", "database-connections", "cache-memory", "backup-failed", "restore-failed", "files-io-limit",
      "interactive-unhealthy-hosts", "interactive-no-healthy-host", "interactive-capacity-at-max", "batch-capacity-at-max",
    ], keys(output.alarm_names))) == 0
    error_message = "errors, hosts, capacity, stores and backups must be watched"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["interactive-no-healthy-host"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.metric["batch-no-healthy-host"].treat_missing_data == "notBreaching"
    error_message = "an empty target group reports nothing: an outage for people, rest for batch"
  }
}

# Requirement 7
run "a_month_that_becomes_dearer_than_planned_is_told" {
  command = plan

  variables {
    settings = merge(var.settings, { monthly_budget_usd = 1200 })
  }
  assert {
    condition     = aws_budgets_budget.monthly[0].limit_amount == "1200" && one(aws_budgets_budget.monthly[0].cost_filter).values == tolist(["user:Environment$test"])
    error_message = "the budget must count what carries the environment's tag"
  }
  assert {
    condition = { for each in aws_budgets_budget.monthly[0].notification : each.notification_type => each.threshold } == { ACTUAL = 80, FORECASTED = 100 } && alltrue([
    for each in aws_budgets_budget.monthly[0].notification : each.subscriber_sns_topic_arns == toset([aws_sns_topic.this.arn])])
    error_message = "what is spent and what will be must be told to the administrators"
  }
}

run "no_budget_is_made_unless_a_sum_is_named" {
  command = plan

  assert {
    condition     = length(aws_budgets_budget.monthly) == 0
    error_message = "a budget without a sum"
  }
}

# Requirement 5.4
run "people_being_failed_is_one_alarm_and_batch_is_no_part_of_it" {
  command = plan

  variables {
    settings = merge(var.settings, { notification_requires_composite = true })
  }
  assert {
    condition = toset(regexall("ALARM\\(\"test-[a-z-]+\"\\)", aws_cloudwatch_composite_alarm.this.alarm_rule)) == toset([for alarm in [
      "edge-errors", "interactive-first-token", "interactive-model-on-cpu", "interactive-no-healthy-host", "interactive-queue", "interactive-rejected", "interactive-request-latency",
    ] : "ALARM(\"test-${alarm}\")"]) && !strcontains(aws_cloudwatch_composite_alarm.this.alarm_rule, " AND ")
    error_message = "any of the alarms that people feel must ring it"
  }
  assert {
    condition     = aws_cloudwatch_composite_alarm.this.alarm_actions == toset([aws_sns_topic.this.arn])
    error_message = "it must be told"
  }
  assert {
    condition = (!aws_cloudwatch_metric_alarm.metric["interactive-first-token"].actions_enabled && aws_cloudwatch_metric_alarm.metric["database-storage"].actions_enabled
    && aws_cloudwatch_metric_alarm.math["backup-failed"].actions_enabled)
    error_message = "only what the composite alarm covers may be silent: nothing else would tell of a full disk"
  }
}

# Requirement 10.4
run "a_rollout_watches_what_a_bad_release_rings_and_nothing_that_load_alone_does" {
  command = plan

  assert {
    condition = output.rollout_alarm_names == {
      batch = tolist(["test-batch-first-token", "test-batch-model-on-cpu", "test-batch-no-healthy-host", "test-batch-rejected", "test-batch-request-latency"])
      interactive = tolist(["test-edge-errors", "test-interactive-first-token", "test-interactive-model-on-cpu", "test-interactive-no-healthy-host",
      "test-interactive-rejected", "test-interactive-request-latency"])
    }
    error_message = "each fleet's own alarms, the front door's with the interactive one, at most 10 as AWS takes"
  }
}

# Requirement 5.5
run "a_dashboard_shows_gpus_latency_throughput_and_what_explains_them" {
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
    error_message = "every fleet must have its line"
  }
  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24])
    error_message = "CloudWatch's grid has 24 columns"
  }
  assert {
    condition     = output.dashboard_url == "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/test"
    error_message = "people must be able to open it"
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
    error_message = "publishing must be bound to sources of this account, and denied without TLS"
  }
  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.events_log.statement : alltrue([for resource in statement.resources : startswith(resource, "${aws_cloudwatch_log_group.this["events"].arn}:")])
    && length(setsubtract(statement.actions, ["logs:CreateLogStream", "logs:PutLogEvents"])) == 0])
    error_message = "EventBridge may write streams of the events' group and nothing else"
  }
}

run "a_log_group_that_eventbridge_cannot_write_to_is_refused" {
  command = plan

  variables {
    log_groups = { events = "/test/events", gateway = "/test/gateway", instance = "/test/instance" }
  }
  expect_failures = [var.log_groups]
}
