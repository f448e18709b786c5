resource "aws_lb" "this" {
  name                       = var.name
  desync_mitigation_mode     = "defensive" # against request smuggling; "strictest" would also refuse unusual but harmless clients
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  enable_http2               = true
  idle_timeout               = var.settings.idle_timeout # above the gateway's limit for a silent stream, so that the gateway ends the stream
  internal                   = var.settings.internal
  ip_address_type            = "ipv4" # the VPC has no IPv6 range, and client_cidrs are IPv4
  load_balancer_type         = "application"
  security_groups            = [var.security_group_id]
  subnets                    = var.subnet_ids

  access_logs {
    bucket  = var.access_log_bucket
    enabled = true
  }
}
