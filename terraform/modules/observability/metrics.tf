# Custom figures come from the contract by name: a name that the contract lacks fails the plan ("This object does not
# have an attribute named ..."), where a misspelt literal would be an alarm that never rings.
locals {
  # A fleet's roll-up: the one dimension set that holds the group alone. `one` fails when a metric has several.
  group_dimension = { for name, metric in var.contract.metrics.names : name => one([
    for dimensions in metric.dimensions : dimensions[0] if length(dimensions) == 1
  ]) }

  # fleet => metric => the arguments of an alarm. No unit: an alarm with a unit ignores points sent with another one, and
  # says nothing about it.
  custom = { for fleet, group in var.fleets : fleet => {
    for name, dimension in local.group_dimension : name => {
      dimensions  = { (dimension) = group.group_name }
      metric_name = name
      namespace   = var.contract.metrics.namespace
    }
  } }

  # fleet => metric => the head of a dashboard line.
  line = { for fleet, group in var.fleets : fleet => {
    for name, dimension in local.group_dimension : name => [var.contract.metrics.namespace, name, dimension, group.group_name]
  } }

  unit = { for name, metric in var.contract.metrics.names : name => metric.unit }

  balancer_dimensions = { LoadBalancer = var.load_balancer.arn_suffix }
  target_dimensions   = { for fleet in keys(var.fleets) : fleet => merge(local.balancer_dimensions, { TargetGroup = var.target_groups[fleet].arn_suffix }) }
  group_dimensions    = { for fleet, group in var.fleets : fleet => { AutoScalingGroupName = group.group_name } }
}
