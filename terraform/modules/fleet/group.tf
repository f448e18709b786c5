resource "aws_autoscaling_group" "this" {
  name = var.name

  desired_capacity = coalesce(var.settings.desired_size, var.settings.min_size)
  max_size         = var.settings.max_size
  min_size         = local.min_size

  vpc_zone_identifier = [for index, zone in var.zones : var.subnet_ids[index] if contains(local.serving_zones, zone)]
  target_group_arns   = [var.target_group.arn]

  default_instance_warmup = var.settings.scaling.warmup_seconds
  max_instance_lifetime   = var.settings.max_lifetime_days * 86400
  # Oldest template first, so that a scale-in during a rollout takes what is to go anyway.
  termination_policies = ["OldestLaunchTemplate", "AllocationStrategy", "OldestInstance"]

  # The launch hook lets an instance into service only when it is ready: the grace covers joining the load balancer and
  # its first health checks, not the boot.
  health_check_grace_period = 120
  health_check_type         = "ELB"

  # Inert without spot, which alone sends rebalance recommendations; one setting for both fleets.
  capacity_rebalance = true

  # Whoever follows a rollout is the driver: an instance takes minutes and one failed launch must not fail the apply.
  wait_for_capacity_timeout = "0"

  metrics_granularity = "1Minute"
  # All that count instances; the *Capacity ones repeat them where types carry no weight.
  enabled_metrics = [
    "GroupDesiredCapacity", "GroupInServiceInstances", "GroupMaxSize", "GroupMinSize",
    "GroupPendingInstances", "GroupStandbyInstances", "GroupTerminatingInstances", "GroupTotalInstances",
  ]

  # In the group as well as below: only a hook that exists at creation catches the first instances.
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

  # A replacement serves before its predecessor goes; a tenth more instances bounds cost and quota meanwhile.
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
        version            = aws_launch_template.this.latest_version # at creation; see ignore_changes
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
      # The template's version says what an instance is; the group's newer tag would overwrite it on an older version.
      propagate_at_launch = tag.key != var.contract.tags.release
    }
  }

  lifecycle {
    ignore_changes = [
      desired_capacity,       # scaling owns it
      initial_lifecycle_hook, # a change here would replace the group; aws_autoscaling_lifecycle_hook applies it
      # The driver's instance refresh sets it: set from here, a refresh could not roll back to the version before.
      mixed_instances_policy[0].launch_template[0].launch_template_specification[0].version,
    ]

    precondition {
      condition = length(local.stranded_types) == 0
      error_message = format("%s is offered in %s but in none of the chosen zones %s: choose another type for the fleet %s, or other network.zones.",
      join(", ", local.stranded_types), var.region, join(", ", var.zones), var.key)
    }
    precondition {
      condition = length(local.serving_zones) >= 2
      error_message = format("Only %s of the zones %s offers one of %s: the fleet %s needs two, so that one zone can fail. Add types or choose other network.zones.",
      length(local.serving_zones) > 0 ? join(", ", local.serving_zones) : "none", join(", ", var.zones), join(", ", var.settings.instance_types), var.key)
    }
  }

  # The first instance boots as soon as the group exists: its permissions must be there before.
  depends_on = [aws_iam_role_policy.this]
}
