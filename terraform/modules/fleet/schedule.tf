# A schedule changes the group's minimum outside Terraform. A fixed min_size would reset it at every apply, and no plan would be
# empty during office hours. Ignoring changes of min_size would also ignore the administrator's changes. So with a schedule, the
# current minimum is kept: min_size applies at creation, and the schedule's entries apply afterwards.

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
  # -1 leaves a size unchanged; the provider's default would be 0. If the group is below the new minimum, it grows automatically.
  desired_capacity = -1
  max_size         = -1
  min_size         = each.value.min_size
  recurrence       = each.value.recurrence
  time_zone        = each.value.time_zone
}
