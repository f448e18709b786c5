locals {
  # AWS's managed rule groups, in the order of evaluation. Rules that would refuse legitimate requests are only counted: a chat
  # contains code, logs, and markup, and an upload is larger than the 8 KB of a body that the firewall inspects. What exceeds 8 KB
  # is let through (the groups' own setting, CONTINUE, cannot be changed). The rules on reputation, headers, paths, and query
  # strings remain enforced.
  # The SQL group is omitted: chats contain SQL, and Open WebUI accesses its database only through bound parameters.
  managed_groups = {
    AWSManagedRulesAmazonIpReputationList = { priority = 10, counted = [] }
    AWSManagedRulesKnownBadInputsRuleSet = {
      priority = 20
      # Java and React payloads in a chat are only text: nothing behind this load balancer runs either.
      counted = ["JavaDeserializationRCE_BODY", "Log4JRCE_BODY", "ReactJSRCE_BODY"]
    }
    AWSManagedRulesCommonRuleSet = {
      priority = 30
      counted = [
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "RestrictedExtensions_URIPATH", # an upload is downloaded under its own name, such as server.log or app.ini
        "SizeRestrictions_BODY",
      ]
    }
  }
}

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV_AWS_192: the group with the Log4j rules is here, in a dynamic block that the check does not read
  name        = var.name
  description = "Front door of ${var.name}"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "rate-per-client"
    priority = 0

    action {
      block {}
    }

    statement {
      rate_based_statement {
        aggregate_key_type    = "IP"
        evaluation_window_sec = 300
        limit                 = var.settings.requests_per_five_minutes
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate-per-client"
      sampled_requests_enabled   = false
    }
  }

  dynamic "rule" {
    for_each = local.managed_groups

    content {
      name     = rule.key
      priority = rule.value.priority

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"

          dynamic "rule_action_override" {
            for_each = rule.value.counted

            content {
              name = rule_action_override.value

              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${var.name}-${rule.key}"
        sampled_requests_enabled   = false
      }
    }
  }

  # Samples would show session cookies and tokens, which the log redacts. The log contains every refused request anyway.
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = aws_lb.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}
