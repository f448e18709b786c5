locals {
  # Sorted, so that the priority of a fleet does not depend on the order of declaration. Spaced, so that rules can be added by
  # hand.
  routed_fleets = { for index, key in sort(setsubtract(keys(var.routes), ["interactive"])) : key => { priority = 100 + 10 * index } }
}

# The health page shows what is wrong with an instance. The load balancer's health checks do not pass through its rules.
resource "aws_lb_listener_rule" "hide_health" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 1

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      message_body = "Not found"
      status_code  = "404"
    }
  }

  condition {
    path_pattern {
      values = [var.health_path, "${var.health_path}/*"]
    }
  }
}

resource "aws_lb_listener_rule" "fleet" {
  for_each = local.routed_fleets

  listener_arn = aws_lb_listener.https.arn
  priority     = each.value.priority

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }

  dynamic "condition" {
    for_each = length(var.routes[each.key].hosts) > 0 ? [var.routes[each.key].hosts] : []

    content {
      host_header {
        values = condition.value
      }
    }
  }

  dynamic "condition" {
    for_each = length(var.routes[each.key].header_values) > 0 ? [var.routes[each.key].header_values] : []

    content {
      http_header {
        http_header_name = var.routes[each.key].header_name
        values           = condition.value
      }
    }
  }
}
