# All permitted traffic; everything else is refused. Descriptions contain only the characters that EC2 allows.
# No rules for DNS (the VPC's resolver), time (169.254.169.123), and instance metadata: security groups do not filter them.
locals {
  # Between two groups: the source gets the egress rule, and the destination gets the ingress rule.
  group_flows = merge({
    edge_to_instance     = { from = "edge", to = "instance", port = var.ports.front_door, description = "Requests and health checks, TLS to the gateway" }
    instance_to_database = { from = "instance", to = "database", port = var.ports.database, description = "PostgreSQL of Open WebUI" }
    instance_to_cache    = { from = "instance", to = "cache", port = var.ports.cache, description = "Redis sessions and WebSocket messages" }
    instance_to_files    = { from = "instance", to = "files", port = var.ports.files, description = "NFS, model files on EFS" }
    }, local.created ? {
    instance_to_endpoints = { from = "instance", to = "endpoints", port = 443, description = "AWS APIs inside the VPC" }
  } : {})

  # From address ranges.
  inbound_flows = merge(
    { for cidr in var.client_cidrs : "clients_https_${cidr}" => { to = "edge", cidr = cidr, port = 443, description = "Clients" } },
    { for cidr in var.client_cidrs : "clients_http_${cidr}" => { to = "edge", cidr = cidr, port = 80, description = "Clients, only to be redirected to HTTPS" } },
    { for cidr in var.ssh_cidrs : "ssh_${cidr}" => { to = "instance", cidr = cidr, port = 22, description = "SSH of administrators, network.ssh_cidrs" } },
  )

  # To address ranges. Models, container images, and packages come from content delivery networks without fixed ranges, and a
  # security group cannot filter by name. To restrict traffic by name, route the private subnets of an existing VPC through a
  # firewall.
  outbound_flows = {
    instance_https = { from = "instance", cidr = "0.0.0.0/0", port = 443, description = "Models, images, packages and AWS APIs without an endpoint" }
    # Ubuntu's in-region mirrors support HTTP only. apt verifies signatures, so plain HTTP cannot alter a package.
    instance_http = { from = "instance", cidr = "0.0.0.0/0", port = 80, description = "Signed packages of mirrors that lack HTTPS" }
  }
}

resource "aws_vpc_security_group_ingress_rule" "group" {
  for_each = local.group_flows

  security_group_id            = aws_security_group.this[each.value.to].id
  referenced_security_group_id = aws_security_group.this[each.value.from].id
  description                  = each.value.description
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port

  tags = { Name = each.key }
}

resource "aws_vpc_security_group_egress_rule" "group" {
  for_each = local.group_flows

  security_group_id            = aws_security_group.this[each.value.from].id
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  description                  = each.value.description
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port

  tags = { Name = each.key }
}

resource "aws_vpc_security_group_ingress_rule" "cidr" {
  for_each = local.inbound_flows

  security_group_id = aws_security_group.this[each.value.to].id
  cidr_ipv4         = each.value.cidr
  description       = each.value.description
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port

  tags = { Name = each.key }
}

resource "aws_vpc_security_group_egress_rule" "cidr" {
  for_each = local.outbound_flows

  security_group_id = aws_security_group.this[each.value.from].id
  cidr_ipv4         = each.value.cidr
  description       = each.value.description
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port

  tags = { Name = each.key }
}
