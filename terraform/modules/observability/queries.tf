# Saved queries of Logs Insights, in a folder with the environment's name. They use only fields that are in the contract or that
# AWS sets in its own events.
locals {
  field = { for name in keys(var.contract.metrics.names) : name => name }

  # Also shown on the dashboard. `time` is the time of the event; @timestamp is when it reached the log.
  scaling_query = <<-EOT
    fields time, `detail-type` as event, detail.AutoScalingGroupName as fleet,
      coalesce(detail.EC2InstanceId, `detail.instance-id`) as instance,
      coalesce(detail.Cause, detail.StatusMessage, detail.statusMessage, detail.LifecycleTransition, `detail.instance-action`, detail.eventTypeCode) as reason
    | sort time desc
    | limit 200
  EOT

  queries = {
    "boot-failures-by-step" = {
      group = "instance"
      query = <<-EOT
        filter @message like /step=/ and @message like /(?i)(result=failed|error|cause=)/
        | parse @message /step="?(?<step>[A-Za-z0-9_-]+)/
        | stats count(*) as failures, latest(@message) as last_message by step
        | sort failures desc
      EOT
    }
    "rejected-requests" = {
      group = "gateway"
      query = <<-EOT
        filter ${local.field.Rejected} > 0
        | stats sum(${local.field.Rejected}) as rejected by bin(5m), Model
        | sort rejected desc
      EOT
    }
    "scaling-events" = {
      group = "events"
      query = local.scaling_query
    }
    "slowest-first-tokens-by-model" = {
      group = "gateway"
      query = <<-EOT
        filter ispresent(${local.field.TimeToFirstToken})
        | stats count(*) as requests, pct(${local.field.TimeToFirstToken}, 50) as p50_ms, pct(${local.field.TimeToFirstToken}, 95) as p95_ms,
          max(${local.field.TimeToFirstToken}) as slowest_ms, pct(${local.field.QueueTime}, 95) as queue_p95_ms by Model
        | sort p95_ms desc
      EOT
    }
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = local.queries

  name            = "${var.name}/${each.key}"
  log_group_names = [aws_cloudwatch_log_group.this[each.value.group].name]
  query_string    = trimspace(each.value.query)
}
