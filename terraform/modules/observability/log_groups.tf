locals {
  retention_days = {
    events   = 365 # a few KiB a day, and capacity planning compares a month with the same month last year
    gateway  = 30  # a line for every request: the bulk of the bill; its figures live on as metrics for 15 months
    instance = 90  # boot and health: a quarter covers the time between two releases that are compared
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338: a year of the gateway's and the instances' logs costs much and answers nothing; events are kept for a year
  for_each = var.log_groups

  name              = each.value
  kms_key_id        = var.kms_key_arn
  retention_in_days = local.retention_days[each.key]
}
