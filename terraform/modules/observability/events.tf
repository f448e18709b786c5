# Events of the fleets, with time and reason, in a log group. The raw events are kept: they contain `time` and, depending on the
# type of event, `detail.Cause` or `detail.StatusMessage`. A transformer has one template for all types and would drop the fields
# that it does not name. The saved query selects the columns when it reads.
locals {
  group_names = sort([for group in values(var.fleets) : group.group_name])

  event_rules = {
    "scaling" = {
      description = "Launches, terminations, lifecycle actions and instance refreshes of the fleets"
      pattern = {
        source = ["aws.autoscaling"]
        detail-type = [
          "EC2 Instance Launch Successful",
          "EC2 Instance Launch Unsuccessful",
          "EC2 Instance Terminate Successful",
          "EC2 Instance Terminate Unsuccessful",
          "EC2 Instance-launch Lifecycle Action",
          "EC2 Instance-terminate Lifecycle Action",
          "EC2 Auto Scaling Instance Refresh Cancelled",
          "EC2 Auto Scaling Instance Refresh Checkpoint Reached",
          "EC2 Auto Scaling Instance Refresh Failed",
          "EC2 Auto Scaling Instance Refresh Rollback Failed",
          "EC2 Auto Scaling Instance Refresh Rollback Started",
          "EC2 Auto Scaling Instance Refresh Rollback Succeeded",
          "EC2 Auto Scaling Instance Refresh Started",
          "EC2 Auto Scaling Instance Refresh Started Baking",
          "EC2 Auto Scaling Instance Refresh Succeeded",
        ]
        detail = { AutoScalingGroupName = local.group_names }
      }
    }
    # These events name only the instance, not its group or its tags. No pattern can separate environments, so the notices of all
    # instances in the account and region are kept. EC2's state changes have the same limitation and add nothing: the group's own
    # events above contain the same information with the cause.
    "spot" = {
      description = "Spot interruption warnings and rebalance recommendations, of the whole account"
      pattern = {
        source      = ["aws.ec2"]
        detail-type = ["EC2 Instance Rebalance Recommendation", "EC2 Spot Instance Interruption Warning"]
      }
    }
    "health" = {
      description = "AWS Health about EC2: hosts that will be retired, and trouble of the service in the region"
      pattern = {
        source      = ["aws.health"]
        detail-type = ["AWS Health Event"]
        detail      = { service = ["EC2"] }
      }
    }
    # A restore's event names no vault, so these events also cover the whole account: a few lines per day. The alarm reports that
    # a job failed; its event contains the reason.
    "backup" = {
      description = "Jobs of AWS Backup and how they ended, of the whole account"
      pattern = {
        source      = ["aws.backup"]
        detail-type = ["Backup Job State Change", "Copy Job State Change", "Restore Job State Change"]
      }
    }
    # Cancelled is a deliberate action. The other events need attention.
    "scaling-failures" = {
      description = "Launches, terminations and instance refreshes of the fleets that failed"
      pattern = {
        source = ["aws.autoscaling"]
        detail-type = [
          "EC2 Instance Launch Unsuccessful",
          "EC2 Instance Terminate Unsuccessful",
          "EC2 Auto Scaling Instance Refresh Failed",
          "EC2 Auto Scaling Instance Refresh Rollback Failed",
          "EC2 Auto Scaling Instance Refresh Rollback Started",
        ]
        detail = { AutoScalingGroupName = local.group_names }
      }
    }
  }

  logged_rules    = ["backup", "health", "scaling", "spot"]
  notifying_rules = ["scaling-failures"]
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.event_rules

  name          = "${var.name}-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
}

resource "aws_cloudwatch_event_target" "log" {
  for_each = toset(local.logged_rules)

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "log"
  arn       = aws_cloudwatch_log_group.this["events"].arn

  depends_on = [aws_cloudwatch_log_resource_policy.events] # an event that arrives before the policy is lost
}

# The notification is a sentence, because people read it. A field that the event lacks stays empty.
resource "aws_cloudwatch_event_target" "topic" {
  for_each = toset(local.notifying_rules)

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "topic"
  arn       = aws_sns_topic.this.arn

  input_transformer {
    input_paths = {
      cause   = "$.detail.Cause"
      event   = "$.detail-type"
      group   = "$.detail.AutoScalingGroupName"
      message = "$.detail.StatusMessage"
      time    = "$.time"
    }
    input_template = "\"<time> <group>: <event>. <message> <cause> Runbook: docs/operations.md#alarm-scaling-failures\""
  }
}

# EventBridge writes to a log group through the account's log resource policies (at most 10 per region), not through a role.
data "aws_iam_policy_document" "events_log" {
  # The request to create a stream has no source: AWS documents it without a condition. It is restricted to the streams of this
  # group.
  statement {
    sid       = "MakeStreams"
    actions   = ["logs:CreateLogStream"]
    resources = ["${aws_cloudwatch_log_group.this["events"].arn}:*"] # * is the stream; EventBridge names it

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com", "events.amazonaws.com"]
    }
  }

  statement {
    sid       = "WriteEvents"
    actions   = ["logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this["events"].arn}:*:*"] # the same streams, in the notation of PutLogEvents

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com", "events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for key in local.logged_rules : aws_cloudwatch_event_rule.this[key].arn]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "events" {
  policy_name     = "${var.name}-events"
  policy_document = data.aws_iam_policy_document.events_log.json
}
