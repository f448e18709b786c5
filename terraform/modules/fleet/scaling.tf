# The group scales out if any policy requires it, and scales in only if all policies agree. Target tracking does nothing on
# missing data: its alarms go to INSUFFICIENT_DATA, and that policy then does not agree to scale in. So if the gateways report no
# InferenceLoad, the fleet keeps its size. The group's default_instance_warmup determines how long a new instance is excluded from
# the averages.

locals {
  # A name that is not in the contract fails here, at plan time.
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

# The metric of the predefined ALBRequestCountPerTarget, with zero for missing data. The load balancer reports only while there
# are requests, so a fleet without requests at night would lack the metric and never scale in.
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
          stat = "Sum" # the metric's only valid statistic: requests per target in the minute

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

# The load on the GPUs: requests that are processed or queued, as a percentage of the requests that can be processed in parallel.
# Every instance publishes the three metrics together, so the averages over instances give the ratio of the fleet, even with a mix
# of types with different numbers of slots. The agent publishes every 60 seconds.
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
      error_message = "contract/instance.yaml: InFlight, Queued, and Slots must each be published with the dimension AutoScalingGroupName alone. Otherwise the fleet's load has no data."
    }
  }
}
