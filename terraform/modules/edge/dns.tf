# A public zone, even for an internal load balancer: ACM validates only what can be resolved from the internet.
data "aws_route53_zone" "this" {
  count = var.settings.domain == null ? 0 : 1

  name         = var.settings.domain.zone
  private_zone = false
}

# No AAAA record: the load balancer has IPv4 addresses only.
resource "aws_route53_record" "alias" {
  count = var.settings.domain == null ? 0 : 1

  zone_id = data.aws_route53_zone.this[0].zone_id
  name    = var.settings.domain.name
  type    = "A"

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }
}
