# The group scales out when any policy wants to, and in only when all of them agree. Target tracking does nothing on
# missing data: its alarms go to INSUFFICIENT_DATA, and that policy's consent to scale in is then missing. So silent
# gateways (no InferenceLoad) keep the fleet at its size. How long a new instance stays out of the averages is the
# group's default_instance_warmup.

locals {
  # A name that the contract lacks fails here, at plan.
  load_metrics = { for id, name in { in_flight = "InFlight", queued = "Queued", slots = "Slots" } :
    id => { name = name, dimensions = var.contract.metrics.names[name].dimensions }
  }
  fleet_dimension = "AutoScalingGroupName"
}

resource "aws_autoscaling_policy" "cpu" {
  name                   = "${var.name}-cpu"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.settings.scaling.cpu_percent

    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}

# What the predefined ALBRequestCountPerTarget reads, with zero where it has nothing. The load balancer reports only
# while requests flow, so a fleet that nobody uses at night would lack the metric and never scale in.
resource "aws_autoscaling_policy" "requests" {
  name                   = "${var.name}-requests"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.settings.scaling.requests_per_target_per_minute

    customized_metric_specification {
      metrics {
        id          = "requests"
        return_data = false

        metric_stat {
          stat = "Sum" # the metric's only valid statistic: requests a target in the minute

          metric {
            metric_name = "RequestCountPerTarget"
            namespace   = "AWS/ApplicationELB"

            dimensions {
              name  = "LoadBalancer"
              value = local.load_balancer
            }
            dimensions {
              name  = "TargetGroup"
              value = var.target_group.arn_suffix
            }
          }
        }
      }
      metrics {
        id          = "requests_or_none"
        expression  = "FILL(requests, 0)"
        label       = "Requests a target and minute"
        return_data = true
      }
    }
  }
}

# The load that moves with the GPUs: requests in the engines or waiting for one, as a share of what the engines take at once.
# Every instance publishes the three figures together, so the averages over instances have the fleet's ratio, also
# when types with different numbers of slots are mixed. 60 seconds is the interval at which the agent publishes.
resource "aws_autoscaling_policy" "inference_load" {
  name                   = "${var.name}-inference-load"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.settings.scaling.inference_load_percent

    customized_metric_specification {
      dynamic "metrics" {
        for_each = local.load_metrics

        content {
          id          = metrics.key
          return_data = false

          metric_stat {
            stat = "Average"

            metric {
              metric_name = metrics.value.name
              namespace   = var.contract.metrics.namespace

              dimensions {
                name  = local.fleet_dimension
                value = aws_autoscaling_group.this.name
              }
            }
          }
        }
      }
      metrics {
        id          = "load"
        expression  = "100 * (in_flight + queued) / slots"
        label       = "InferenceLoad"
        return_data = true
      }
    }
  }

  lifecycle {
    precondition {
      condition     = alltrue([for metric in local.load_metrics : contains([for set in metric.dimensions : join(",", set)], local.fleet_dimension)])
      error_message = "contract/instance.yaml: InFlight, Queued and Slots must each be published with the dimension AutoScalingGroupName alone, or the fleet's load has no data."
    }
  }
}
