# What happened to the fleets, with time and reason, in a log group. The raw events are kept: they hold `time` and, as the kind of
# event has it, `detail.Cause` or `detail.StatusMessage`. A transformer has one template for all kinds and would lose what it
# does not name; the saved query picks the columns when reading.
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
    # These events name the instance alone, neither its group nor its tags: no pattern can tell environments apart, so the notices
    # of all instances of the account and region are kept. EC2's state changes would be as blind and add nothing: the group's own
    # events, above, say the same with the cause.
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
    # A restore's event names no vault, so these too are the whole account's: a few lines a day. The alarm says that a job failed,
    # its event says why.
    "backup" = {
      description = "Jobs of AWS Backup and how they ended, of the whole account"
      pattern = {
        source      = ["aws.backup"]
        detail-type = ["Backup Job State Change", "Copy Job State Change", "Restore Job State Change"]
      }
    }
    # Cancelled is somebody's decision; the rest of these needs somebody.
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

  depends_on = [aws_cloudwatch_log_resource_policy.events] # an event that comes before the policy is lost
}

# A person reads these, so the letter is a sentence. A field that the event lacks is left empty.
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

# EventBridge writes to a log group by the account's log policies (at most 10 a region), not by a role.
data "aws_iam_policy_document" "events_log" {
  # The request to make a stream carries no source: AWS documents it without a condition. The group's own streams are the limit.
  statement {
    sid       = "MakeStreams"
    actions   = ["logs:CreateLogStream"]
    resources = ["${aws_cloudwatch_log_group.this["events"].arn}:*"] # * is the stream, named by EventBridge

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com", "events.amazonaws.com"]
    }
  }

  statement {
    sid       = "WriteEvents"
    actions   = ["logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this["events"].arn}:*:*"] # the same streams, as PutLogEvents spells them

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
