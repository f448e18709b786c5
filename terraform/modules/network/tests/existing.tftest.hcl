# An existing VPC: two zones, a subnet of each kind in each.
mock_provider "aws" {
  source = "../../tests/mocks"

  mock_data "aws_vpc" {
    defaults = { cidr_block = "172.20.0.0/16", enable_dns_hostnames = true, enable_dns_support = true, id = "vpc-1" }
  }
}

override_data {
  target = data.aws_subnet.existing["data-0"]
  values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.existing["data-1"]
  values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.existing["private-0"]
  values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.existing["private-1"]
  values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.existing["public-0"]
  values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
}

override_data {
  target = data.aws_subnet.existing["public-1"]
  values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
}

variables {
  existing = {
    data_subnet_ids    = ["subnet-data-a", "subnet-data-b"]
    private_subnet_ids = ["subnet-private-a", "subnet-private-b"]
    public_subnet_ids  = ["subnet-public-a", "subnet-public-b"]
    vpc_id             = "vpc-1"
  }
  ports = yamldecode(file("../../../contract/instance.yaml")).ports
}

# Requirement 9.3
run "an_existing_vpc_is_used_unchanged" {
  command = plan

  assert {
    condition = (output.vpc_id == "vpc-1" && output.vpc_cidr == "172.20.0.0/16" && output.zones == tolist(["us-east-1a", "us-east-1b"])
      && output.private_subnet_ids == var.existing.private_subnet_ids && output.public_subnet_ids == var.existing.public_subnet_ids
    && output.data_subnet_ids == var.existing.data_subnet_ids)
    error_message = "the outputs must be the given VPC and subnets, with their zones"
  }
  assert {
    condition = sum([for made in [aws_vpc.this, aws_internet_gateway.this, aws_default_security_group.this, aws_subnet.public, aws_subnet.private, aws_subnet.data, aws_nat_gateway.this,
    aws_eip.nat, aws_route_table.public, aws_route_table.private, aws_route_table.data, aws_vpc_endpoint.interface, aws_vpc_endpoint.s3, aws_flow_log.this, aws_iam_role.flow_log] : length(made)]) == 0
    error_message = "an existing network must not be changed, because its owner manages it"
  }
  assert {
    condition     = toset(keys(aws_security_group.this)) == toset(["cache", "database", "edge", "files", "instance"]) && alltrue([for group in aws_security_group.this : group.vpc_id == "vpc-1"])
    error_message = "the security groups must be created in the given VPC"
  }
}

run "a_subnet_of_another_vpc_is_refused" {
  command = plan

  override_data {
    target = data.aws_subnet.existing["data-1"]
    values = { availability_zone = "us-east-1b", vpc_id = "vpc-2" }
  }
  expect_failures = [data.aws_vpc.existing]
}

# Requirement 8.1
run "subnets_in_a_single_zone_are_refused" {
  command = plan

  override_data {
    target = data.aws_subnet.existing["data-1"]
    values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
  }
  expect_failures = [data.aws_vpc.existing]
}

# Requirement 8.1
run "instances_in_a_zone_without_load_balancer_or_stores_are_refused" {
  command = plan

  override_data {
    target = data.aws_subnet.existing["private-1"]
    values = { availability_zone = "us-east-1c", vpc_id = "vpc-1" }
  }
  expect_failures = [data.aws_vpc.existing]
}

run "two_subnets_of_one_kind_in_the_same_zone_are_refused" {
  command = plan

  variables {
    existing = {
      data_subnet_ids    = ["subnet-data-a", "subnet-data-b"]
      private_subnet_ids = ["subnet-private-a", "subnet-private-b"]
      public_subnet_ids  = ["subnet-public-a", "subnet-public-b", "subnet-public-b2"]
      vpc_id             = "vpc-1"
    }
  }
  override_data {
    target = data.aws_subnet.existing["public-2"]
    values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
  }
  expect_failures = [data.aws_vpc.existing]
}

run "a_vpc_without_dns_hostnames_is_refused" {
  command = plan

  override_data {
    target = data.aws_vpc.existing[0]
    values = { enable_dns_hostnames = false, enable_dns_support = true, id = "vpc-1" }
  }
  expect_failures = [data.aws_vpc.existing]
}
