# GPU types are not offered everywhere: one that cannot be had is refused here, before the group fails to launch it.
# Architecture and GPU need no look-up: every type of the families that the root allows is x86_64 with NVIDIA GPUs.

data "aws_ec2_instance_type_offerings" "region" {
  location_type = "region"

  filter {
    name   = "instance-type"
    values = var.settings.instance_types
  }

  lifecycle {
    postcondition {
      condition = length(setsubtract(var.settings.instance_types, self.instance_types)) == 0
      error_message = format("%s is not offered in %s%s: choose a g4dn, g5, g6, g6e or p3 type that is, or another region.",
        join(", ", sort(setsubtract(var.settings.instance_types, self.instance_types))), var.region,
      length(self.instance_types) > 0 ? " (${join(", ", sort(distinct(self.instance_types)))} is)" : "")
    }
  }
}

data "aws_ec2_instance_type_offerings" "zones" {
  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = var.settings.instance_types
  }
  filter {
    name   = "location"
    values = var.zones
  }
}

locals {
  types_by_zone = { for zone in var.zones : zone => [
    for type in var.settings.instance_types : type if contains([
      for index, offered in data.aws_ec2_instance_type_offerings.zones.instance_types : offered
      if data.aws_ec2_instance_type_offerings.zones.locations[index] == zone
    ], type)
  ] }
  # A zone that offers one type but not another serves: the group tries the next type there. One that offers none is left
  # out of the group, which would otherwise try in vain to balance over it; the precondition wants two that serve.
  serving_zones = [for zone in var.zones : zone if length(local.types_by_zone[zone]) > 0]
  # Types that the region offers, only in none of the chosen zones.
  stranded_types = sort(setsubtract(
    setintersection(var.settings.instance_types, data.aws_ec2_instance_type_offerings.region.instance_types),
  flatten(values(local.types_by_zone))))
}
