# Custom metrics are looked up in the contract by name. A name that is not in the contract fails the plan ("This object does not
# have an attribute named ..."), whereas a misspelled literal would create an alarm that never fires.
locals {
  # The dimension of the fleet-wide metric: the one dimension set that contains only the group. `one` fails if a metric has
  # several.
  group_dimension = { for name, metric in var.contract.metrics.names : name => one([
    for dimensions in metric.dimensions : dimensions[0] if length(dimensions) == 1
  ]) }

  # fleet => metric => the arguments of an alarm. No unit: an alarm with a unit silently ignores data points with another unit.
  custom = { for fleet, group in var.fleets : fleet => {
    for name, dimension in local.group_dimension : name => {
      dimensions  = { (dimension) = group.group_name }
      metric_name = name
      namespace   = var.contract.metrics.namespace
    }
  } }

  # fleet => metric => the first elements of a dashboard line.
  line = { for fleet, group in var.fleets : fleet => {
    for name, dimension in local.group_dimension : name => [var.contract.metrics.namespace, name, dimension, group.group_name]
  } }

  unit = { for name, metric in var.contract.metrics.names : name => metric.unit }

  balancer_dimensions = { LoadBalancer = var.load_balancer.arn_suffix }
  target_dimensions   = { for fleet in keys(var.fleets) : fleet => merge(local.balancer_dimensions, { TargetGroup = var.target_groups[fleet].arn_suffix }) }
  group_dimensions    = { for fleet, group in var.fleets : fleet => { AutoScalingGroupName = group.group_name } }
}
