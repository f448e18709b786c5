# Monthly budget of the environment. It notifies and stops nothing: the hard limit is each fleet's max_size. It covers resources
# with the tag Environment, after the account has activated it as a cost allocation tag (docs/first-deploy.md).
resource "aws_budgets_budget" "monthly" {
  count = var.settings.monthly_budget_usd == null ? 0 : 1

  name         = "${var.name}-monthly"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.settings.monthly_budget_usd)
  limit_unit   = "USD"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Environment$%s", var.environment)] # AWS separates a tag's key and value with a dollar sign
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.this.arn]
    }
  }
}
