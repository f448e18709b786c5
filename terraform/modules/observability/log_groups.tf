locals {
  retention_days = {
    events   = 365 # a few KiB per day, and capacity planning compares a month with the same month of the previous year
    gateway  = 30  # one line per request: the largest part of the cost; its metrics are kept for 15 months
    instance = 90  # boot and health: a quarter covers the time between two releases to compare
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338: a year of the gateway's and the instances' logs is expensive and not useful; events are kept for a year
  for_each = var.log_groups

  name              = each.value
  kms_key_id        = var.kms_key_arn
  retention_in_days = local.retention_days[each.key]
}
