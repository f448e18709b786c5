# A schedule moves the group's minimum from outside Terraform. A fixed min_size would move it back at every apply and no
# plan would be empty during office hours; ignoring changes of min_size would ignore the administrator's as well. So with a schedule
# the live minimum is kept: min_size counts at creation, the schedule's entries afterwards.

data "aws_autoscaling_groups" "existing" {
  count = length(var.settings.schedule) > 0 ? 1 : 0

  names = [var.name]
}

data "aws_autoscaling_group" "existing" {
  for_each = toset(flatten(data.aws_autoscaling_groups.existing[*].names))

  name = each.value
}

locals {
  min_size = one(values(data.aws_autoscaling_group.existing)) == null ? var.settings.min_size : min(
  one(values(data.aws_autoscaling_group.existing)).min_size, var.settings.max_size)
}

resource "aws_autoscaling_schedule" "this" {
  for_each = var.settings.schedule

  scheduled_action_name  = each.key
  autoscaling_group_name = aws_autoscaling_group.this.name
  # -1 leaves a size as it is: the provider's default would be 0. Below the new minimum, the group grows by itself.
  desired_capacity = -1
  max_size         = -1
  min_size         = each.value.min_size
  recurrence       = each.value.recurrence
  time_zone        = each.value.time_zone
}
