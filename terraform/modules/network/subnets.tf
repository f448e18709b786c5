# How the VPC's range is divided. Each kind starts at a fixed position with space for at least four zones, so an additional zone
# moves no subnet. In a /16: private /19 (8187 addresses; instances and endpoints), public and data /22. In a /20: /23 and /26.
locals {
  private_cidrs = { for zone, index in local.zone_index : zone => cidrsubnet(var.cidr, 3, index) }      # first half
  public_cidrs  = { for zone, index in local.zone_index : zone => cidrsubnet(var.cidr, 6, 32 + index) } # third quarter
  data_cidrs    = { for zone, index in local.zone_index : zone => cidrsubnet(var.cidr, 6, 48 + index) } # last quarter
}

resource "aws_subnet" "public" {
  for_each = local.public_cidrs

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false # only the load balancer and NAT gateways use these subnets, and they have their own addresses

  tags = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_subnet" "private" {
  for_each = local.private_cidrs

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_subnet" "data" {
  for_each = local.data_cidrs

  vpc_id                  = aws_vpc.this[0].id
  availability_zone       = each.key
  cidr_block              = each.value
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-data-${each.key}" }
}
