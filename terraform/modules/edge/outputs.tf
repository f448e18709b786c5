output "certificate_arn" {
  description = "ARN of the front door's certificate, given or created."
  value       = local.certificate_arn
}

output "listener_arns" {
  description = "ARNs of the listeners: http (redirects) and https."
  value       = { http = aws_lb_listener.http.arn, https = aws_lb_listener.https.arn }
}

output "load_balancer" {
  description = "The load balancer; arn_suffix is its dimension in CloudWatch."
  value = {
    arn        = aws_lb.this.arn
    arn_suffix = aws_lb.this.arn_suffix
    dns_name   = aws_lb.this.dns_name
    name       = aws_lb.this.name
    zone_id    = aws_lb.this.zone_id
  }
}

output "target_groups" {
  description = "For each fleet: the target group, and request_label for a scaling policy on ALBRequestCountPerTarget."
  value = { for key, group in aws_lb_target_group.this : key => {
    arn           = group.arn
    arn_suffix    = group.arn_suffix
    name          = group.name
    request_label = "${aws_lb.this.arn_suffix}/${group.arn_suffix}"
  } }

  # AWS refuses such a policy while no listener forwards to the target group.
  depends_on = [aws_lb_listener.https, aws_lb_listener_rule.fleet]
}

output "url" {
  description = "URL for users. Without edge.domain and edge.public_name, it is the load balancer's DNS name, which a given certificate is unlikely to cover."
  value       = "https://${coalesce(try(var.settings.domain.name, null), var.settings.public_name, aws_lb.this.dns_name)}"
}

output "web_acl_arn" {
  description = "ARN of the firewall's web ACL."
  value       = aws_wafv2_web_acl.this.arn
}
