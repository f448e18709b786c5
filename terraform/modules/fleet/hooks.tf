locals {
  hooks = {
    launch = {
      name              = var.contract.lifecycle_hooks.launch
      default_result    = "ABANDON" # an instance that never reports ready is replaced
      heartbeat_timeout = var.settings.launch_wait_seconds
      transition        = "autoscaling:EC2_INSTANCE_LAUNCHING"
    }
    terminate = {
      name              = var.contract.lifecycle_hooks.terminate
      default_result    = "CONTINUE"                      # an instance that cannot report is terminated anyway
      heartbeat_timeout = var.settings.drain_seconds + 30 # time to notice the termination and to report; a hook's minimum is 30
      transition        = "autoscaling:EC2_INSTANCE_TERMINATING"
    }
  }
}

# The same hooks as the group's initial ones, so that later changes are applied (the API call replaces a hook of the same name).
resource "aws_autoscaling_lifecycle_hook" "this" {
  for_each = local.hooks

  name                   = each.value.name
  autoscaling_group_name = aws_autoscaling_group.this.name
  default_result         = each.value.default_result
  heartbeat_timeout      = each.value.heartbeat_timeout
  lifecycle_transition   = each.value.transition
}
