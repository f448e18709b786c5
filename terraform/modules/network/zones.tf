locals {
  created = var.existing == null

  usable_zones = local.created ? data.aws_availability_zones.usable[0].names : []

  # min(): slice() beyond the end fails with its own error, which hides the VPC's precondition, and that message names the remedy.
  first_zones = slice(local.usable_zones, 0, min(var.zone_count, length(local.usable_zones)))

  # In the given order, which numbers the subnets' ranges. Empty with an existing VPC.
  created_zones = !local.created ? [] : length(var.zones) > 0 ? var.zones : local.first_zones

  # Position of a zone in the list, for cidrsubnet.
  zone_index = { for index, zone in local.created_zones : zone => index }
}

# Taking the first zones is only for a quick start. A permanent environment should name its zones in network.zones: if AWS reports
# a zone as unavailable on the day of a plan, this list would change.
data "aws_availability_zones" "usable" {
  #checkov:skip=CKV_AWS_394: a new zone sorts last and only the first zone_count are taken; network.zones pins them
  count = local.created ? 1 : 0

  state = "available"

  # Excludes local and wavelength zones, which support neither a load balancer's nor a database's subnet.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}
