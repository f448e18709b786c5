# An interface endpoint costs about 7 USD per month and zone, even if unused, so each must be justified. These endpoints serve
# what an instance needs to boot, report, and terminate cleanly, and they keep working when a NAT gateway fails.
# Omitted, because the NAT gateways are sufficient or nothing calls them:
# - ec2messages: agents since 3.3.40 (2024) use ssmmessages instead;
# - kms: EBS, S3, Secrets Manager, and EFS call KMS on their side, never the instance;
# - elasticfilesystem: NFS uses mount targets inside the VPC; the API is only for administrators;
# - ec2, sts: an instance gets its zone and the credentials of its role from the metadata service.
locals {
  interface_endpoints = local.created ? toset([
    "autoscaling",    # completes lifecycle hooks, reports health
    "ecr.api",        # API of the container registry
    "ecr.dkr",        # pulls container images; their layers come through the S3 endpoint
    "logs",           # journal and gateway log
    "monitoring",     # metrics
    "secretsmanager", # secrets at boot
    "ssm",            # release, models, and fabric parameters; registration of the agent
    "ssmmessages",    # Session Manager, which administrators use for access
  ]) : toset([])
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = aws_vpc.this[0].id
  service_name        = data.aws_vpc_endpoint_service.interface[each.key].service_name
  vpc_endpoint_type   = "Interface"
  policy              = data.aws_iam_policy_document.interface_endpoint[0].json
  private_dns_enabled = true # the SDKs' default host names resolve to the endpoint, so the instances need no configuration
  security_group_ids  = [aws_security_group.this["endpoints"].id]

  # A service may be missing in a zone, most often in a region's oldest zone. Instances in that zone use the endpoint in another
  # zone.
  subnet_ids = [
    for zone in local.created_zones : aws_subnet.private[zone].id
    if contains(data.aws_vpc_endpoint_service.interface[each.key].availability_zones, zone)
  ]

  tags = { Name = "${var.name}-${each.key}" }
}

data "aws_vpc_endpoint_service" "interface" {
  for_each = local.interface_endpoints

  service_name = "com.amazonaws.${var.region}.${each.key}"
  service_type = "Interface"
}

# Free of charge. Models and image layers would be expensive through NAT.
resource "aws_vpc_endpoint" "s3" {
  count = local.created ? 1 : 0

  vpc_id            = aws_vpc.this[0].id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  policy            = data.aws_iam_policy_document.s3_endpoint[0].json
  route_table_ids   = [for zone in local.created_zones : aws_route_table.private[zone].id]

  tags = { Name = "${var.name}-s3" }
}

data "aws_caller_identity" "current" {}

# The wildcards grant nothing: an endpoint policy only restricts what identities may already do. This policy restricts the
# identities: credentials of a foreign account cannot move data out through these endpoints.
data "aws_iam_policy_document" "interface_endpoint" {
  #checkov:skip=CKV_AWS_1: an endpoint policy grants nothing, see above
  #checkov:skip=CKV_AWS_49: an endpoint policy grants nothing, see above
  count = local.created ? 1 : 0

  statement {
    sid       = "OwnIdentities"
    actions   = ["*"]
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

# Writes are allowed only to this account's buckets. Reads are allowed from any bucket, because public buckets in the region
# (package mirrors, drivers, ECR layers, whose requests are signed by ECR's own account) also resolve to this endpoint, and there
# is no list of them.
data "aws_iam_policy_document" "s3_endpoint" {
  #checkov:skip=CKV_AWS_108: public reads are intended, and an endpoint policy grants nothing
  #checkov:skip=CKV_AWS_356: bounded by the condition, or reads only
  count = local.created ? 1 : 0

  statement {
    sid       = "OwnBuckets"
    actions   = ["s3:*"]
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  statement {
    sid       = "ReadAnywhere"
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}
