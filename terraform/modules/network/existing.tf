locals {
  existing_subnet_ids = local.created ? {} : {
    data    = var.existing.data_subnet_ids
    private = var.existing.private_subnet_ids
    public  = var.existing.public_subnet_ids
  }

  # Keyed by kind and position, so that a subnet that is named twice is detected.
  existing_subnets = merge([for kind, ids in local.existing_subnet_ids : { for index, id in ids : "${kind}-${index}" => id }]...)

  existing_zones = { for kind, ids in local.existing_subnet_ids : kind => [
    for index, id in ids : data.aws_subnet.existing["${kind}-${index}"].availability_zone
  ] }

  # try(): Terraform checks the type of the attribute even if there is nothing to iterate over.
  existing_strays = [for key, subnet in data.aws_subnet.existing : subnet.id if subnet.vpc_id != try(var.existing.vpc_id, null)]
}

data "aws_subnet" "existing" {
  for_each = local.existing_subnets

  id = each.value
}

data "aws_vpc" "existing" {
  count = local.created ? 0 : 1

  id = var.existing.vpc_id

  lifecycle {
    precondition {
      condition     = length(local.existing_strays) == 0
      error_message = "network.existing: these subnets are not in ${var.existing.vpc_id}: ${join(", ", local.existing_strays)}. Name subnets of that VPC, or the VPC of those subnets."
    }
    precondition {
      condition     = alltrue([for zones in local.existing_zones : length(distinct(zones)) >= 2])
      error_message = "network.existing: data_subnet_ids, private_subnet_ids and public_subnet_ids must each span two availability zones. They are in: ${jsonencode(local.existing_zones)}. Add a subnet in another zone where only one is named."
    }
    precondition {
      # A load balancer and EFS accept one subnet per zone and refuse a second one.
      condition     = alltrue([for zones in local.existing_zones : length(distinct(zones)) == length(zones)])
      error_message = "network.existing: name one subnet of each kind per availability zone. They are in: ${jsonencode(local.existing_zones)}. Remove the second subnet in the same zone."
    }
    precondition {
      # A target in a zone without the load balancer gets no requests. An instance in a zone without an EFS mount target cannot
      # mount the file system.
      condition     = alltrue([for zones in local.existing_zones : length(setsubtract(local.existing_zones.private, zones)) == 0])
      error_message = "network.existing: every zone of private_subnet_ids also needs a public and a data subnet. They are in: ${jsonencode(local.existing_zones)}. Add the missing subnets, or remove the private subnet in that zone."
    }
    postcondition {
      condition     = self.enable_dns_support && self.enable_dns_hostnames
      error_message = "network.existing: DNS support or DNS hostnames are disabled in ${self.id}, but EFS and the database are reached by private DNS names. Enable both with `aws ec2 modify-vpc-attribute`."
    }
  }
}
