# All security groups. They are defined here and not with the resources that they protect, because they reference each other.
# flows.tf defines the permitted traffic.
locals {
  security_groups = merge({
    cache    = "Cache of ${var.name}: from instances only"
    database = "Database of ${var.name}: from instances only"
    edge     = "Load balancer of ${var.name}: from clients, to instances"
    files    = "EFS mount targets of ${var.name}: from instances only"
    instance = "GPU instances of ${var.name}: from the load balancer, to the stores and AWS"
    }, local.created ? {
    endpoints = "VPC endpoints of ${var.name}: from instances only"
  } : {})
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5: attached by the modules that own the load balancer, fleets and stores
  for_each = local.security_groups

  name        = "${var.name}-${each.key}"
  description = each.value # a change would replace the group
  vpc_id      = local.vpc_id

  tags = { Name = "${var.name}-${each.key}" }
}
