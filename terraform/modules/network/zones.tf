locals {
  created = var.existing == null

  usable_zones = local.created ? data.aws_availability_zones.usable[0].names : []

  # min(): slice() past the end fails with an error of its own and hides the VPC's precondition, which names the remedy.
  first_zones = slice(local.usable_zones, 0, min(var.zone_count, length(local.usable_zones)))

  # In their given order, which numbers the subnets' ranges. Empty with an existing VPC.
  created_zones = !local.created ? [] : length(var.zones) > 0 ? var.zones : local.first_zones

  # Place of a zone in the list, for cidrsubnet.
  zone_index = { for index, zone in local.created_zones : zone => index }
}

# The first zones only serve a quick start. An environment that is to last names its zones in network.zones: should AWS call a
# zone unavailable on the day of a plan, the list would be another.
data "aws_availability_zones" "usable" {
  #checkov:skip=CKV_AWS_394: a new zone sorts last and only the first zone_count are taken; network.zones pins them
  count = local.created ? 1 : 0

  state = "available"

  # Leaves out local and wavelength zones, where neither a load balancer's nor a database's subnet can lie.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}
