# Computed values are known at plan time, so that the tests can compare references between resources.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan

  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:us-east-1:123456789012:certificate/made"
      domain_validation_options = [{
        domain_name           = "chat.example.org"
        resource_record_name  = "_x.chat.example.org."
        resource_record_type  = "CNAME"
        resource_record_value = "_y.acm-validations.aws."
      }]
    }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-test" }
  }
  mock_resource "aws_lb" {
    defaults = {
      arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/test/1"
      arn_suffix = "app/test/1"
      dns_name   = "test.us-east-1.elb.amazonaws.com"
      zone_id    = "Z35SXDOTRQ7X7K"
    }
  }
  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/test/1/1" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = {
      arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/test/1"
      arn_suffix = "targetgroup/test/1"
    }
  }
  mock_resource "aws_route53_record" {
    defaults = { fqdn = "_x.chat.example.org" }
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/test/1" }
  }
}

override_resource {
  target          = aws_lb_target_group.this["batch"]
  override_during = plan
  values          = { arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/batch/2", arn_suffix = "targetgroup/batch/2" }
}

variables {
  access_log_bucket   = "test-logs"
  deletion_protection = true
  health_path         = yamldecode(file("../../../contract/instance.yaml")).health.instance
  name                = "test"
  port                = yamldecode(file("../../../contract/instance.yaml")).ports.front_door
  routes              = { interactive = null }
  security_group_id   = "sg-edge"
  settings = {
    certificate_arn           = null
    domain                    = { name = "chat.example.org", zone = "example.org" }
    health_check_interval     = 5
    health_check_timeout      = 4
    healthy_threshold         = 2
    idle_timeout              = 360
    internal                  = false
    public_name               = null
    requests_per_five_minutes = 10000
    stickiness                = 86400
    unhealthy_threshold       = 3
  }
  subnet_ids      = ["subnet-a", "subnet-b", "subnet-c"]
  vpc_id          = "vpc-1"
  waf_log_group   = "aws-waf-logs-test"
  waf_log_key_arn = "arn:aws:kms:us-east-1:123456789012:key/logs"
}

# Requirement 4.1, 8.1
run "requests_go_to_the_least_busy_healthy_instance_in_all_zones" {
  command = plan

  assert {
    condition     = aws_lb.this.load_balancer_type == "application" && aws_lb.this.subnets == toset(var.subnet_ids)
    error_message = "an application load balancer must have a subnet in every zone"
  }
  assert {
    condition     = aws_lb_listener.https.default_action[0].type == "forward" && aws_lb_listener.https.default_action[0].target_group_arn == aws_lb_target_group.this["interactive"].arn
    error_message = "requests that match no rule must reach the interactive fleet"
  }
  assert {
    condition     = aws_lb_target_group.this["interactive"].load_balancing_algorithm_type == "least_outstanding_requests" && aws_lb_target_group.this["interactive"].vpc_id == "vpc-1"
    error_message = "a chat takes from a second to minutes, so requests must go to the instance with the fewest"
  }
  assert {
    condition     = aws_lb.this.idle_timeout == 360 && aws_lb.this.enable_deletion_protection && aws_lb.this.access_logs[0].enabled && aws_lb.this.access_logs[0].bucket == "test-logs"
    error_message = "idle timeout, deletion protection and access logs must follow the variables"
  }
}

# Requirement 4.2, 4.3, 4.4, 8.3
run "an_instance_gets_requests_only_while_healthy_and_clients_cannot_read_its_health_page" {
  command = plan

  variables {
    settings = merge(var.settings, { health_check_interval = 10, health_check_timeout = 3, healthy_threshold = 4, unhealthy_threshold = 2 })
  }
  assert {
    condition = (aws_lb_target_group.this["interactive"].health_check[0].enabled
      && aws_lb_target_group.this["interactive"].health_check[0].path == var.health_path
      && aws_lb_target_group.this["interactive"].health_check[0].port == "traffic-port"
      && aws_lb_target_group.this["interactive"].health_check[0].protocol == "HTTPS"
    && aws_lb_target_group.this["interactive"].health_check[0].matcher == "200")
    error_message = "the health check must request the instance's health page over the path of normal requests, and accept only 200"
  }
  assert {
    condition = (aws_lb_target_group.this["interactive"].health_check[0].interval == 10 && aws_lb_target_group.this["interactive"].health_check[0].timeout == 3
    && aws_lb_target_group.this["interactive"].health_check[0].healthy_threshold == 4 && aws_lb_target_group.this["interactive"].health_check[0].unhealthy_threshold == 2)
    error_message = "a slow answer must count as a failure, and the thresholds must follow the variables"
  }
  assert {
    condition = (aws_lb_listener_rule.hide_health.priority == 1 && aws_lb_listener_rule.hide_health.action[0].fixed_response[0].status_code == "404"
    && toset(flatten(aws_lb_listener_rule.hide_health.condition[*].path_pattern[*].values)) == toset([var.health_path, "${var.health_path}/*"]))
    error_message = "clients must not read the health page, because it shows internal faults"
  }
  assert {
    condition     = tonumber(aws_lb_target_group.this["interactive"].deregistration_delay) >= 119 && tonumber(aws_lb_target_group.this["interactive"].deregistration_delay) <= 120
    error_message = "the instance's drain (below 120 s) must end streams within a spot notice (120 s)"
  }
}

# Requirement 4.5
run "a_cookie_keeps_a_user_on_one_instance_for_the_configured_duration" {
  command = plan

  variables {
    settings = merge(var.settings, { stickiness = 3600 })
  }
  assert {
    condition = (aws_lb_target_group.this["interactive"].stickiness[0].enabled && aws_lb_target_group.this["interactive"].stickiness[0].type == "lb_cookie"
    && aws_lb_target_group.this["interactive"].stickiness[0].cookie_duration == 3600)
    error_message = "stickiness must use a cookie with the duration edge.stickiness"
  }
}

# Requirement 4.1, 7.2
run "batch_requests_are_routed_by_host_and_header_to_their_own_targets" {
  command = plan

  variables {
    routes = {
      interactive = null
      batch       = { header_name = "X-Ollama-Fleet", header_values = ["batch"], hosts = ["batch.example.org"] }
    }
  }
  assert {
    condition     = length(aws_lb_target_group.this) == 2 && aws_lb_listener_rule.fleet["batch"].action[0].target_group_arn == aws_lb_target_group.this["batch"].arn
    error_message = "a fleet needs a target group and a rule that forwards to it"
  }
  assert {
    condition = (one(flatten(aws_lb_listener_rule.fleet["batch"].condition[*].host_header[*].values)) == "batch.example.org"
      && one(flatten(aws_lb_listener_rule.fleet["batch"].condition[*].http_header[*].values)) == "batch"
    && one(flatten(aws_lb_listener_rule.fleet["batch"].condition[*].http_header[*].http_header_name)) == "X-Ollama-Fleet")
    error_message = "the rule must match the fleet's host and header"
  }
  assert {
    condition     = !aws_lb_target_group.this["batch"].stickiness[0].enabled
    error_message = "batch clients keep no cookies"
  }
  assert {
    condition     = output.target_groups["batch"].request_label == "app/test/1/targetgroup/batch/2" && output.target_groups["interactive"].request_label == "app/test/1/targetgroup/test/1"
    error_message = "a scaling policy needs the load balancer and the target group in its label"
  }
}

run "a_fleet_routed_by_header_alone_has_no_host_condition" {
  command = plan

  variables {
    routes = {
      interactive = null
      batch       = { header_name = "X-Ollama-Fleet", header_values = ["batch"], hosts = [] }
    }
  }
  assert {
    condition     = length(aws_lb_listener_rule.fleet["batch"].condition) == 1
    error_message = "an empty list of hosts must create no condition, because it would match nothing"
  }
}

# Requirement 9.2, 9.5
run "clients_must_use_https_and_the_load_balancer_uses_tls_to_the_instances" {
  command = plan

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.port == 443 && strcontains(aws_lb_listener.https.ssl_policy, "TLS13-1-2")
    error_message = "TLS 1.2 must be the minimum"
  }
  assert {
    condition = (aws_lb_listener.http.default_action[0].type == "redirect" && aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS"
    && aws_lb_listener.http.default_action[0].redirect[0].port == "443" && aws_lb_listener.http.default_action[0].redirect[0].status_code == "HTTP_301")
    error_message = "plain HTTP must only redirect"
  }
  assert {
    condition     = aws_lb_listener.https.routing_http_response_strict_transport_security_header_value == "max-age=31536000" && aws_lb.this.drop_invalid_header_fields
    error_message = "browsers must be told to stay with HTTPS"
  }
  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : group.protocol == "HTTPS" && group.port == var.port])
    error_message = "the load balancer must speak TLS to the instances"
  }
}

# Requirement 9.2
run "a_certificate_is_created_for_the_domain_and_validated_in_its_zone" {
  command = plan

  assert {
    condition     = aws_acm_certificate.this[0].domain_name == "chat.example.org" && aws_acm_certificate.this[0].validation_method == "DNS"
    error_message = "the certificate must be for the users' domain name"
  }
  assert {
    condition     = aws_route53_record.validation[0].name == "_x.chat.example.org." && aws_route53_record.validation[0].records == toset(["_y.acm-validations.aws."]) && aws_route53_record.validation[0].zone_id == "Z0123456789ABCDEFGHIJ"
    error_message = "the validation record of ACM must be in the zone"
  }
  assert {
    condition     = aws_lb_listener.https.certificate_arn == aws_acm_certificate_validation.this[0].certificate_arn
    error_message = "the listener must use the created certificate"
  }
  assert {
    condition     = aws_route53_record.alias[0].alias[0].name == aws_lb.this.dns_name && aws_route53_record.alias[0].name == "chat.example.org" && output.url == "https://chat.example.org"
    error_message = "the domain name must resolve to the load balancer"
  }
}

# Requirement 9.2
run "a_given_certificate_is_used_and_no_dns_record_is_created" {
  command = plan

  variables {
    settings = merge(var.settings, { certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/given", domain = null, public_name = "chat.example.com" })
  }
  assert {
    condition     = aws_lb_listener.https.certificate_arn == "arn:aws:acm:us-east-1:123456789012:certificate/given" && output.certificate_arn == aws_lb_listener.https.certificate_arn
    error_message = "the given certificate must be used"
  }
  assert {
    condition     = length(aws_acm_certificate.this) + length(aws_route53_record.alias) + length(aws_route53_record.validation) == 0
    error_message = "without edge.domain, no zone is known"
  }
  assert {
    condition     = output.url == "https://chat.example.com"
    error_message = "the URL must use edge.public_name"
  }
}

# Requirement 9.2
run "a_certificate_in_another_region_is_refused" {
  command = plan

  variables {
    settings = merge(var.settings, { certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/given", domain = null })
  }
  expect_failures = [aws_lb_listener.https]
}

run "an_internal_load_balancer_has_no_public_address" {
  command = plan

  variables {
    settings = merge(var.settings, { internal = true })
  }
  assert {
    condition     = aws_lb.this.internal
    error_message = "edge.internal must apply to the load balancer"
  }
}

run "the_firewall_limits_each_client_and_allows_chats_and_uploads" {
  command = plan

  assert {
    condition     = aws_wafv2_web_acl_association.this.resource_arn == aws_lb.this.arn && aws_wafv2_web_acl_association.this.web_acl_arn == aws_wafv2_web_acl.this.arn
    error_message = "the firewall must protect the load balancer"
  }
  assert {
    condition     = flatten([for rule in aws_wafv2_web_acl.this.rule : rule.statement[0].rate_based_statement[*].limit if length(flatten(rule.action[*].block)) == 1]) == [10000]
    error_message = "a client beyond requests_per_five_minutes must be blocked"
  }
  assert {
    condition = toset(flatten([for rule in aws_wafv2_web_acl.this.rule : [for group in rule.statement[0].managed_rule_group_statement : group.name]])) == toset([
    "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"])
    error_message = "AWS's managed rules must be used"
  }
  assert {
    condition = length(setsubtract(["CrossSiteScripting_BODY", "SizeRestrictions_BODY", "GenericLFI_BODY", "GenericRFI_BODY", "Log4JRCE_BODY"],
      flatten([for rule in aws_wafv2_web_acl.this.rule : [for group in rule.statement[0].managed_rule_group_statement : [
        for override in group.rule_action_override : override.name if length(override.action_to_use[0].count) == 1
    ]]]))) == 0
    error_message = "rules on the body must only count, because they would refuse uploads and chats with code"
  }
  assert {
    condition = (aws_cloudwatch_log_group.waf.kms_key_id == var.waf_log_key_arn
      && toset(flatten([for field in aws_wafv2_web_acl_logging_configuration.this.redacted_fields : field.single_header[*].name])) == toset(["authorization", "cookie"])
    && data.aws_iam_policy_document.waf_log.statement[0].resources == toset(["${aws_cloudwatch_log_group.waf.arn}:*"]))
    error_message = "the log must be encrypted, omit sessions, and be writable only for the delivery service"
  }
}

run "more_hosts_and_header_values_than_a_listener_rule_allows_are_refused" {
  command = plan

  variables {
    routes = {
      interactive = null
      batch       = { header_name = "X-Ollama-Fleet", header_values = ["a", "b", "c"], hosts = ["d.example.org", "e.example.org", "f.example.org"] }
    }
  }
  expect_failures = [var.routes]
}
