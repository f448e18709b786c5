resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  certificate_arn   = local.certificate_arn
  port              = 443
  protocol          = "HTTPS"

  # TLS 1.3, and 1.2 with forward secrecy and AEAD ciphers only, which every browser that Open WebUI supports has. The hybrid
  # post-quantum key exchange keeps recorded chats unreadable later; clients without it negotiate the classical one.
  ssl_policy = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

  routing_http_response_server_enabled                         = false
  routing_http_response_strict_transport_security_header_value = "max-age=31536000" # a year, in seconds

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this["interactive"].arn
  }

  lifecycle {
    precondition {
      condition     = try(split(":", var.settings.certificate_arn)[3] == data.aws_region.current.name, var.settings.certificate_arn == null)
      error_message = "edge.certificate_arn is a certificate of another region than ${data.aws_region.current.name}, and a load balancer takes only its own region's. Request or import the certificate there, or set edge.domain to have one made."
    }
  }
}

data "aws_region" "current" {}
