# An empty fleet has no CPU, load, or requests per target, so target tracking would leave it at zero forever. The load balancer
# returns 503 for a target group without targets, and only an empty fleet has such a target group. That metric starts the first
# instance. The client must retry until the instance serves.

locals {
  load_balancer = join("/", slice(split("/", var.target_group.request_label), 0, 3))
}

resource "aws_autoscaling_policy" "wake" {
  count = var.settings.min_size == 0 ? 1 : 0

  name                   = "${var.name}-wake"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "StepScaling"
  adjustment_type        = "ChangeInCapacity"

  step_adjustment {
    metric_interval_lower_bound = 0
    scaling_adjustment          = 1
  }
}

resource "aws_cloudwatch_metric_alarm" "wake" {
  count = var.settings.min_size == 0 ? 1 : 0

  alarm_name          = "${var.name}-wake"
  alarm_description   = "Requests arrived while the fleet ${var.key} was empty. It starts its first instance."
  alarm_actions       = [aws_autoscaling_policy.wake[0].arn]
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  treat_missing_data  = "notBreaching"

  metric_query {
    id          = "refused_while_empty"
    expression  = "IF(FILL(desired, 0) == 0, FILL(refused, 0), 0)"
    label       = "Requests refused while empty"
    return_data = true
  }
  metric_query {
    id = "desired"

    metric {
      metric_name = "GroupDesiredCapacity"
      namespace   = "AWS/AutoScaling"
      period      = 60
      stat        = "Maximum"
      dimensions  = { AutoScalingGroupName = aws_autoscaling_group.this.name }
    }
  }
  metric_query {
    id = "refused"

    metric {
      metric_name = "HTTPCode_ELB_503_Count"
      namespace   = "AWS/ApplicationELB"
      period      = 60
      stat        = "Sum"
      dimensions  = { LoadBalancer = local.load_balancer }
    }
  }
}
