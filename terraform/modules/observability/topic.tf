resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  display_name      = "${var.name} alarms"
  kms_master_key_id = var.kms_key_arn
}

# The key's policy must allow the same services kms:GenerateDataKey* and kms:Decrypt, and events.amazonaws.com WITHOUT
# aws:SourceAccount or aws:SourceArn: for EventBridge, SNS does not support those conditions in the key's policy, and its messages
# would be lost without an error. They work here, in the topic's policy.
data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "AlarmsBackupAndBudgets"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]

    principals {
      type        = "Service"
      identifiers = ["backup.amazonaws.com", "budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }

  statement {
    sid       = "EventRulesOfThisEnvironment"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for key in local.notifying_rules : aws_cloudwatch_event_rule.this[key].arn]
    }
  }

  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.this.arn]

    # In a deny, the * covers everyone and so restricts access.
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "this" {
  arn    = aws_sns_topic.this.arn
  policy = data.aws_iam_policy_document.topic.json
}

# Each address gets an e-mail and must confirm it. Until then the subscription is pending, which a plan does not show as a
# difference. AWS deletes a subscription that stays pending for days, and the next apply sends another e-mail.
resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.settings.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}
