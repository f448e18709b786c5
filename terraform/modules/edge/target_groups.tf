locals {
  # Longer than every drain that fleets.drain_seconds allows (119), so that the instance ends its streams and not the load
  # balancer. Not longer than 120 seconds, because that is what a spot notice leaves.
  deregistration_delay = 120
}

resource "aws_lb_target_group" "this" {
  for_each = var.routes

  # The limit is 32 characters. Only a long environment name shortens the fleet's name.
  name                 = trimsuffix(substr("${var.name}-${each.key}", 0, 32), "-")
  deregistration_delay = local.deregistration_delay
  port                 = var.port
  protocol             = "HTTPS"
  protocol_version     = "HTTP1" # Open WebUI uses WebSockets, which HTTP/2 target groups do not support
  target_type          = "instance"
  vpc_id               = var.vpc_id

  # A chat takes from a second to minutes, so round robin would pile requests up on one instance. The algorithm rules out slow
  # start, which is not needed: an instance joins only when its model is loaded.
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    enabled             = true
    healthy_threshold   = var.settings.healthy_threshold
    interval            = var.settings.health_check_interval
    matcher             = "200"
    path                = var.health_path
    port                = "traffic-port"
    protocol            = "HTTPS"
    timeout             = var.settings.health_check_timeout
    unhealthy_threshold = var.settings.unhealthy_threshold
  }

  # After the first request, a user's requests stay on the same instance. Batch clients keep no cookies, and each of their
  # requests goes to the least busy instance.
  stickiness {
    cookie_duration = var.settings.stickiness
    enabled         = each.key == "interactive"
    type            = "lb_cookie"
  }
}
