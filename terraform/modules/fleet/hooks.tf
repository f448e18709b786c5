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
      default_result    = "CONTINUE"                      # an instance that cannot report goes all the same
      heartbeat_timeout = var.settings.drain_seconds + 30 # to notice the termination and to report; 30 is the least a hook takes
      transition        = "autoscaling:EC2_INSTANCE_TERMINATING"
    }
  }
}

# Puts the same hooks as the group's initial ones (the call replaces a hook of that name), so that later changes apply.
resource "aws_autoscaling_lifecycle_hook" "this" {
  for_each = local.hooks

  name                   = each.value.name
  autoscaling_group_name = aws_autoscaling_group.this.name
  default_result         = each.value.default_result
  heartbeat_timeout      = each.value.heartbeat_timeout
  lifecycle_transition   = each.value.transition
}
