# GPU types are not offered everywhere. A type that is not available is refused here, before the group fails to launch it.
# Architecture and GPU need no lookup: all types in the families that the root module allows are x86_64 with NVIDIA GPUs.

data "aws_ec2_instance_type_offerings" "region" {
  location_type = "region"

  filter {
    name   = "instance-type"
    values = var.settings.instance_types
  }

  lifecycle {
    postcondition {
      condition = length(setsubtract(var.settings.instance_types, self.instance_types)) == 0
      error_message = format("%s is not offered in %s%s. Choose a g4dn, g5, g6, g6e, or p3 type that is offered, or another region.",
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
  # A zone that offers only some of the types is used: the group launches the next type there. A zone that offers none is excluded
  # from the group, which would otherwise try to balance across it without success. The precondition requires two usable zones.
  serving_zones = [for zone in var.zones : zone if length(local.types_by_zone[zone]) > 0]
  # Types that the region offers, but none of the chosen zones.
  stranded_types = sort(setsubtract(
    setintersection(var.settings.instance_types, data.aws_ec2_instance_type_offerings.region.instance_types),
  flatten(values(local.types_by_zone))))
}
