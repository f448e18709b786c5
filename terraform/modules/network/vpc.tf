resource "aws_vpc" "this" {
  count = local.created ? 1 : 0

  cidr_block           = var.cidr
  enable_dns_hostnames = true # the private DNS names of the endpoints and of EFS need both
  enable_dns_support   = true

  tags = { Name = var.name }

  lifecycle {
    precondition {
      condition     = length(setsubtract(var.zones, local.usable_zones)) == 0
      error_message = "network.zones contains zones that ${var.region} does not offer: ${join(", ", setsubtract(var.zones, local.usable_zones))}. Choose from ${join(", ", local.usable_zones)}."
    }
    precondition {
      condition     = length(distinct(local.created_zones)) >= 2
      error_message = "The fabric needs two availability zones but has ${length(distinct(local.created_zones))} in ${var.region}. Name two or more in network.zones, or choose a region with more zones."
    }
  }
}

resource "aws_internet_gateway" "this" {
  count = local.created ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = var.name }
}

# No rules: a resource that is launched without a group can neither be reached nor reach anything.
resource "aws_default_security_group" "this" {
  count = local.created ? 1 : 0

  vpc_id = aws_vpc.this[0].id

  tags = { Name = "${var.name}-default-locked" }
}
