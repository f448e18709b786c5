# Computed values are known at plan time, so that the tests can compare references between resources.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan

  mock_data "aws_vpc" {
    defaults = { enable_dns_hostnames = true, enable_dns_support = true }
  }
  mock_data "aws_vpc_endpoint_service" {
    defaults = {
      availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
      service_name       = "com.amazonaws.us-east-1.mocked"
    }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:flow" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/flow-log" }
  }
  mock_resource "aws_default_security_group" {
    defaults = { egress = [], ingress = [] } # the values that it has unless the configuration sets them
  }
  mock_resource "aws_eip" {
    defaults = {}
  }
  mock_resource "aws_nat_gateway" {
    defaults = {}
  }
  mock_resource "aws_route_table" {
    defaults = {}
  }
  mock_resource "aws_security_group" {
    defaults = {}
  }
  mock_resource "aws_subnet" {
    defaults = {}
  }
  mock_resource "aws_vpc" {
    defaults = {}
  }
}

variables {
  existing = null
  ports    = yamldecode(file("../../../contract/instance.yaml")).ports
}

# Requirement 8.1, 9.3
run "every_zone_gets_a_public_a_private_and_a_data_subnet_without_public_addresses" {
  command = plan

  assert {
    condition     = output.zones == tolist(["us-east-1a", "us-east-1b", "us-east-1c"])
    error_message = "the first zone_count zones must be used"
  }
  assert {
    condition = alltrue([for subnets in [aws_subnet.public, aws_subnet.private, aws_subnet.data] :
    toset([for subnet in subnets : subnet.availability_zone]) == toset(output.zones)])
    error_message = "each kind of subnet must exist in each zone"
  }
  assert {
    condition     = alltrue([for subnet in flatten([for subnets in [aws_subnet.public, aws_subnet.private, aws_subnet.data] : values(subnets)]) : !subnet.map_public_ip_on_launch])
    error_message = "no subnet may assign public addresses"
  }
  assert {
    condition = alltrue([for ids, subnets in {
      private = { given = output.private_subnet_ids, made = aws_subnet.private }
      public  = { given = output.public_subnet_ids, made = aws_subnet.public }
      data    = { given = output.data_subnet_ids, made = aws_subnet.data }
    } : subnets.given == [for zone in output.zones : subnets.made[zone].id]])
    error_message = "outputs must list subnets in the order of zones, because the fleet pairs them by position"
  }
}

run "named_zones_keep_their_order_and_an_appended_zone_moves_no_subnet" {
  command = plan

  variables {
    zones = ["us-east-1c", "us-east-1a", "us-east-1b", "us-east-1d"]
  }
  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { us-east-1c = "10.40.0.0/19", us-east-1a = "10.40.32.0/19", us-east-1b = "10.40.64.0/19", us-east-1d = "10.40.96.0/19" }
    error_message = "private subnets must be in the first half of the range, in the order of zones"
  }
  assert {
    condition = ([for zone in var.zones : aws_subnet.public[zone].cidr_block] == ["10.40.128.0/22", "10.40.132.0/22", "10.40.136.0/22", "10.40.140.0/22"]
    && [for zone in var.zones : aws_subnet.data[zone].cidr_block] == ["10.40.192.0/22", "10.40.196.0/22", "10.40.200.0/22", "10.40.204.0/22"])
    error_message = "public subnets must start at the third quarter, data subnets at the last quarter"
  }
}

# Requirement 8.1, 9.3
run "private_subnets_use_the_nat_gateway_in_their_zone_and_data_subnets_have_no_internet" {
  command = plan

  assert {
    condition     = alltrue([for zone in output.zones : aws_route.private_nat[zone].nat_gateway_id == aws_nat_gateway.this[zone].id && aws_nat_gateway.this[zone].subnet_id == aws_subnet.public[zone].id])
    error_message = "a zone must not depend on another zone's NAT gateway"
  }
  assert {
    condition     = alltrue([for zone in output.zones : aws_route.private_nat[zone].route_table_id == aws_route_table.private[zone].id && aws_route_table_association.private[zone].route_table_id == aws_route_table.private[zone].id])
    error_message = "private subnets must use the route table with the NAT gateway"
  }
  assert {
    condition = alltrue([for association in values(aws_route_table_association.data) : association.route_table_id == aws_route_table.data[0].id
    && !contains(concat([for route in aws_route.private_nat : route.route_table_id], [aws_route.public_internet[0].route_table_id]), association.route_table_id)])
    error_message = "the data subnets' table must have no route out of the VPC"
  }
}

run "one_nat_gateway_serves_every_zone_when_nat_per_zone_is_off" {
  command = plan

  variables {
    nat_per_zone = false
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(output.nat_public_ips) == 1 && alltrue([for route in aws_route.private_nat : route.nat_gateway_id == one(values(aws_nat_gateway.this)).id])
    error_message = "all private subnets must share one NAT gateway"
  }
}

# Requirement 9.1
run "port_22_is_closed_unless_ranges_are_named" {
  command = plan

  assert {
    condition     = length([for rule in concat(values(aws_vpc_security_group_ingress_rule.cidr), values(aws_vpc_security_group_ingress_rule.group)) : rule if rule.from_port <= 22 && rule.to_port >= 22]) == 0
    error_message = "no rule may open SSH, because administrators use Session Manager"
  }
}

# Requirement 9.1
run "port_22_opens_for_the_named_ranges_only_and_on_instances_only" {
  command = plan

  variables {
    ssh_cidrs = ["203.0.113.0/24", "198.51.100.7/32"]
  }
  assert {
    condition = toset([for rule in concat(values(aws_vpc_security_group_ingress_rule.cidr), values(aws_vpc_security_group_ingress_rule.group)) :
      "${rule.cidr_ipv4 == null ? "group" : rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}" if rule.from_port <= 22 && rule.to_port >= 22
    ]) == toset(["203.0.113.0/24 22-22", "198.51.100.7/32 22-22"])
    error_message = "SSH must be open to network.ssh_cidrs and to nothing else"
  }
  assert {
    condition     = alltrue([for rule in values(aws_vpc_security_group_ingress_rule.cidr) : rule.security_group_id == output.security_group_ids.instance if rule.from_port == 22])
    error_message = "only instances have an SSH server"
  }
}

# Requirement 9.3, 9.4
run "security_groups_allow_only_client_to_load_balancer_to_instance_to_store" {
  command = plan

  variables {
    client_cidrs = ["203.0.113.0/24"]
  }
  assert {
    condition = toset([for rule in values(aws_vpc_security_group_ingress_rule.cidr) : "${rule.security_group_id} ${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"]) == toset([
    "${output.security_group_ids.edge} 203.0.113.0/24 443-443", "${output.security_group_ids.edge} 203.0.113.0/24 80-80"])
    error_message = "only client_cidrs may reach the load balancer, and no other address may reach anything"
  }
  assert {
    condition = toset([for rule in values(aws_vpc_security_group_ingress_rule.group) : "${rule.referenced_security_group_id} ${rule.security_group_id} ${rule.from_port}-${rule.to_port}"]) == toset([
      "${output.security_group_ids.edge} ${output.security_group_ids.instance} ${var.ports.front_door}-${var.ports.front_door}",
      "${output.security_group_ids.instance} ${output.security_group_ids.database} ${var.ports.database}-${var.ports.database}",
      "${output.security_group_ids.instance} ${output.security_group_ids.cache} ${var.ports.cache}-${var.ports.cache}",
      "${output.security_group_ids.instance} ${output.security_group_ids.files} ${var.ports.files}-${var.ports.files}",
      "${output.security_group_ids.instance} ${aws_security_group.this["endpoints"].id} 443-443",
    ])
    error_message = "inside the VPC, rules must reference security groups, with one port each"
  }
  assert {
    condition     = toset([for rule in values(aws_vpc_security_group_egress_rule.cidr) : "${rule.security_group_id} ${rule.from_port}-${rule.to_port}"]) == toset(["${output.security_group_ids.instance} 443-443", "${output.security_group_ids.instance} 80-80"])
    error_message = "only instances may reach the internet, and only on ports 80 and 443"
  }
  assert {
    condition     = length(aws_default_security_group.this[0].ingress) == 0 && length(aws_default_security_group.this[0].egress) == 0
    error_message = "the default security group must have no rules"
  }
}

# Requirement 9.4, 9.5
run "the_flow_log_is_encrypted_and_its_role_writes_only_to_its_own_group" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }
  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_flow_log.this[0].vpc_id == output.vpc_id && aws_cloudwatch_log_group.flow[0].kms_key_id == var.kms_key_arn
    error_message = "all traffic must be recorded, in a group encrypted by the customer managed key"
  }
  assert {
    condition = { for statement in data.aws_iam_policy_document.flow_log_write[0].statement : statement.sid => "${join(" ", sort(statement.actions))} on ${join(" ", statement.resources)}" } == {
      WriteStreams = "logs:CreateLogStream logs:DescribeLogStreams logs:PutLogEvents on ${aws_cloudwatch_log_group.flow[0].arn}:*"
      FindGroup    = "logs:DescribeLogGroups on *"
    }
    error_message = "the role may only write streams of its own group and use the list action, which cannot be restricted"
  }
  assert {
    condition = (aws_iam_role.flow_log[0].permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
      && one(data.aws_iam_policy_document.flow_log_trust[0].statement[0].principals).identifiers == toset(["vpc-flow-logs.amazonaws.com"])
    && contains([for condition in data.aws_iam_policy_document.flow_log_trust[0].statement[0].condition : condition.variable], "aws:SourceAccount"))
    error_message = "only this account's flow logs may assume the role, within the boundary"
  }
}

# Requirement 9.3, 9.4
run "aws_apis_are_reached_through_endpoints_that_refuse_foreign_accounts" {
  command = plan

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["autoscaling", "ecr.api", "ecr.dkr", "logs", "monitoring", "secretsmanager", "ssm", "ssmmessages"])
    error_message = "services that an instance needs to boot, report and terminate must not depend on NAT"
  }
  assert {
    condition = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled && endpoint.security_group_ids == toset([aws_security_group.this["endpoints"].id])
    && endpoint.subnet_ids == toset([for zone in output.zones : aws_subnet.private[zone].id])])
    error_message = "endpoints must use the default host names and the private subnets"
  }
  assert {
    condition     = aws_vpc_endpoint.s3[0].route_table_ids == toset([for table in aws_route_table.private : table.id])
    error_message = "models and layers must not go through NAT"
  }
  assert {
    condition = alltrue([for statement in concat(data.aws_iam_policy_document.interface_endpoint[0].statement, data.aws_iam_policy_document.s3_endpoint[0].statement) :
      try(one(statement.condition).values == tolist(["123456789012"]), false)
    || alltrue([for action in statement.actions : can(regex("^s3:(Get|List)", action))])])
    error_message = "an endpoint must be restricted to this account, except for reads of public buckets"
  }
}

run "an_endpoint_skips_a_zone_that_lacks_its_service" {
  command = plan

  override_data {
    target = data.aws_vpc_endpoint_service.interface["ecr.api"]
    values = { availability_zones = ["us-east-1a", "us-east-1c"], service_name = "com.amazonaws.us-east-1.ecr.api" }
  }
  assert {
    condition     = aws_vpc_endpoint.interface["ecr.api"].subnet_ids == toset([aws_subnet.private["us-east-1a"].id, aws_subnet.private["us-east-1c"].id])
    error_message = "a zone without the service must be omitted"
  }
}

# Requirement 8.1
run "a_zone_that_the_region_does_not_offer_is_refused" {
  command = plan

  variables {
    zones = ["us-east-1a", "us-east-1z"]
  }
  expect_failures = [aws_vpc.this]
}

# Requirement 8.1
run "a_region_with_one_usable_zone_is_refused" {
  command = plan

  override_data {
    target = data.aws_availability_zones.usable[0]
    values = { names = ["us-east-1a"] }
  }
  expect_failures = [aws_vpc.this]
}

run "more_client_ranges_than_a_security_group_allows_are_refused" {
  command = plan

  variables {
    client_cidrs = [for number in range(31) : "10.0.${number}.0/24"]
  }
  expect_failures = [var.client_cidrs]
}
