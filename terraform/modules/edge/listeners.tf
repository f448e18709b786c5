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

  # TLS 1.3, and TLS 1.2 only with forward secrecy and AEAD ciphers, which every browser that Open WebUI supports has. The hybrid
  # post-quantum key exchange protects recorded chats against later decryption; clients without it negotiate the classical one.
  ssl_policy = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

  routing_http_response_server_enabled                         = false
  routing_http_response_strict_transport_security_header_value = "max-age=31536000" # one year, in seconds

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this["interactive"].arn
  }

  lifecycle {
    precondition {
      condition     = try(split(":", var.settings.certificate_arn)[3] == data.aws_region.current.name, var.settings.certificate_arn == null)
      error_message = "edge.certificate_arn is not a certificate in ${data.aws_region.current.name}. A load balancer takes only certificates of its own region. Request or import the certificate there, or set edge.domain to have one created."
    }
  }
}

data "aws_region" "current" {}
