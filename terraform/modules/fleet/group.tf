resource "aws_autoscaling_group" "this" {
  name = var.name

  desired_capacity = coalesce(var.settings.desired_size, var.settings.min_size)
  max_size         = var.settings.max_size
  min_size         = local.min_size

  vpc_zone_identifier = [for index, zone in var.zones : var.subnet_ids[index] if contains(local.serving_zones, zone)]
  target_group_arns   = [var.target_group.arn]

  default_instance_warmup = var.settings.scaling.warmup_seconds
  max_instance_lifetime   = var.settings.max_lifetime_days * 86400
  # Oldest template version first, so that a scale-in during a rollout terminates instances that the rollout would replace anyway.
  termination_policies = ["OldestLaunchTemplate", "AllocationStrategy", "OldestInstance"]

  # The launch hook puts an instance into service only when it is ready. So the grace period covers joining the load balancer and
  # the first health checks, but not the boot.
  health_check_grace_period = 120
  health_check_type         = "ELB"

  # Has no effect without spot, because only spot instances get rebalance recommendations. Same setting for both fleets.
  capacity_rebalance = true

  # The driver tracks rollouts. An instance takes minutes to start, and one failed launch must not fail the apply.
  wait_for_capacity_timeout = "0"

  metrics_granularity = "1Minute"
  # All metrics that count instances. The *Capacity metrics repeat them if types have no weight.
  enabled_metrics = [
    "GroupDesiredCapacity", "GroupInServiceInstances", "GroupMaxSize", "GroupMinSize",
    "GroupPendingInstances", "GroupStandbyInstances", "GroupTerminatingInstances", "GroupTotalInstances",
  ]

  # Defined in the group as well as in hooks.tf, because only a hook that exists when the group is created applies to the first
  # instances.
  initial_lifecycle_hook {
    name                 = local.hooks.launch.name
    default_result       = local.hooks.launch.default_result
    heartbeat_timeout    = local.hooks.launch.heartbeat_timeout
    lifecycle_transition = local.hooks.launch.transition
  }
  initial_lifecycle_hook {
    name                 = local.hooks.terminate.name
    default_result       = local.hooks.terminate.default_result
    heartbeat_timeout    = local.hooks.terminate.heartbeat_timeout
    lifecycle_transition = local.hooks.terminate.transition
  }

  # A replacement serves before its predecessor is terminated. Ten percent more instances limits cost and quota during that time.
  instance_maintenance_policy {
    max_healthy_percentage = 110
    min_healthy_percentage = 100
  }

  mixed_instances_policy {
    instances_distribution {
      on_demand_allocation_strategy            = "prioritized" # the order of instance_types
      on_demand_base_capacity                  = var.all_spot ? 0 : var.settings.on_demand_base
      on_demand_percentage_above_base_capacity = var.all_spot ? 0 : 100 - var.settings.spot_percentage
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.this.id
        version            = aws_launch_template.this.latest_version # at creation only; see ignore_changes
      }

      dynamic "override" {
        for_each = var.settings.instance_types

        content {
          instance_type = override.value
        }
      }
    }
  }

  timeouts {
    delete = "20m" # GPU instances can take ten minutes to shut down
  }

  dynamic "tag" {
    for_each = local.instance_tags

    content {
      key   = tag.key
      value = tag.value
      # Release comes from the template version. The group's newer tag would overwrite it on an instance of an older version.
      propagate_at_launch = tag.key != var.contract.tags.release
    }
  }

  lifecycle {
    ignore_changes = [
      desired_capacity,       # managed by scaling
      initial_lifecycle_hook, # a change here would replace the group; aws_autoscaling_lifecycle_hook applies it
      # Set by the driver's instance refresh. If it were set here, a refresh could not roll back to the previous version.
      mixed_instances_policy[0].launch_template[0].launch_template_specification[0].version,
    ]

    precondition {
      condition = length(local.stranded_types) == 0
      error_message = format("%s is offered in %s but in none of the chosen zones %s. Choose another type for the fleet %s, or other zones in network.zones.",
      join(", ", local.stranded_types), var.region, join(", ", var.zones), var.key)
    }
    precondition {
      condition = length(local.serving_zones) >= 2
      error_message = format("Only %s of the zones %s offers one of %s. The fleet %s needs two zones, so that one can fail. Add types, or choose other zones in network.zones.",
      length(local.serving_zones) > 0 ? join(", ", local.serving_zones) : "none", join(", ", var.zones), join(", ", var.settings.instance_types), var.key)
    }
  }

  # The first instance boots as soon as the group exists, so its permissions must exist before.
  depends_on = [aws_iam_role_policy.this]
}
