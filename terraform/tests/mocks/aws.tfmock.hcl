# AWS's answers during a plan, without credentials. Enough for every module; the modules' own tests use this file too.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

mock_data "aws_region" {
  defaults = { name = "us-east-1" }
}

mock_data "aws_availability_zones" {
  defaults = { names = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"] }
}

mock_data "aws_iam_policy_document" {
  defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
}

mock_data "aws_ssm_parameter" {
  defaults = { value = "ami-0123456789abcdef0" }
}

mock_data "aws_ami" {
  defaults = {
    architecture          = "x86_64"
    block_device_mappings = []
    root_device_name      = "/dev/xvda"
  }
}

# Both lookups of offerings, by region and by zone, return the same: g5.xlarge and g4dn.xlarge in zones a, b, and c.
mock_data "aws_ec2_instance_type_offerings" {
  defaults = {
    instance_types = ["g5.xlarge", "g5.xlarge", "g5.xlarge", "g4dn.xlarge", "g4dn.xlarge", "g4dn.xlarge"]
    locations      = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1a", "us-east-1b", "us-east-1c"]
  }
}

mock_data "aws_route53_zone" {
  defaults = { zone_id = "Z0123456789ABCDEFGHIJ" }
}

mock_data "aws_autoscaling_groups" {
  defaults = { names = [] }
}

mock_resource "aws_acm_certificate" {
  override_during = plan
  defaults = {
    arn = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    domain_validation_options = [{
      domain_name           = "chat.example.org"
      resource_record_name  = "_x.chat.example.org."
      resource_record_type  = "CNAME"
      resource_record_value = "_y.acm-validations.aws."
    }]
  }
}

mock_resource "aws_lb" {
  override_during = plan
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/ollama-gpu-qa/0123456789abcdef"
    arn_suffix = "app/ollama-gpu-qa/0123456789abcdef"
    dns_name   = "ollama-gpu-qa.us-east-1.elb.amazonaws.com"
  }
}

mock_resource "aws_lb_target_group" {
  override_during = plan
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/ollama-gpu-qa/0123456789abcdef"
    arn_suffix = "targetgroup/ollama-gpu-qa/0123456789abcdef"
  }
}
