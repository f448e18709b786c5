locals {
  vpc_id = local.created ? aws_vpc.this[0].id : data.aws_vpc.existing[0].id
}

output "data_subnet_ids" {
  description = "IDs of the subnets for database, cache, and file system, in the order of zones (existing subnets: in the given order)."
  value       = local.created ? [for zone in local.created_zones : aws_subnet.data[zone].id] : var.existing.data_subnet_ids
}

output "nat_public_ips" {
  description = "Public addresses of the instances' outgoing traffic, for allow lists of other systems. Empty with an existing VPC."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}

output "private_subnet_ids" {
  description = "IDs of the instances' subnets, in the order of zones (existing subnets: in the given order)."
  value       = local.created ? [for zone in local.created_zones : aws_subnet.private[zone].id] : var.existing.private_subnet_ids

  # An instance that boots before its route to the internet exists fails to boot. An instance that outlives the route cannot
  # report its termination.
  depends_on = [
    aws_route.private_nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
  ]
}

output "public_subnet_ids" {
  description = "IDs of the subnets for an internet-facing load balancer, in the order of zones (existing subnets: in the given order)."
  value       = local.created ? [for zone in local.created_zones : aws_subnet.public[zone].id] : var.existing.public_subnet_ids

  # AWS refuses a load balancer whose subnets have no internet gateway.
  depends_on = [aws_route.public_internet, aws_route_table_association.public]
}

output "security_group_ids" {
  description = "ID of the security group of each component: edge, instance, database, cache, files."
  value       = { for key in ["cache", "database", "edge", "files", "instance"] : key => aws_security_group.this[key].id }

  # A resource that gets a security group must be able to connect immediately.
  depends_on = [
    aws_vpc_security_group_egress_rule.cidr,
    aws_vpc_security_group_egress_rule.group,
    aws_vpc_security_group_ingress_rule.cidr,
    aws_vpc_security_group_ingress_rule.group,
  ]
}

output "vpc_cidr" {
  description = "IPv4 range of the VPC."
  value       = local.created ? aws_vpc.this[0].cidr_block : data.aws_vpc.existing[0].cidr_block
}

output "vpc_id" {
  description = "ID of the VPC, new or existing."
  value       = local.vpc_id
}

output "zones" {
  description = "Availability zones of the instances, at least two."
  value       = local.created ? local.created_zones : local.existing_zones.private
}
