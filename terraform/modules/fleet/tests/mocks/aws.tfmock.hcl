# AWS's answers about account, image, and instance types: g4dn.xlarge in two zones, g5.xlarge in three.

mock_data "aws_ami" {
  defaults = {
    architecture          = "x86_64"
    block_device_mappings = [{ device_name = "/dev/sda1", ebs = { volume_size = "50" }, no_device = "", virtual_name = "" }]
    root_device_name      = "/dev/sda1"
  }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_ec2_instance_type_offerings" {
  defaults = {
    instance_types = ["g4dn.xlarge", "g4dn.xlarge", "g5.xlarge", "g5.xlarge", "g5.xlarge"]
    locations      = ["us-east-1a", "us-east-1b", "us-east-1a", "us-east-1b", "us-east-1c"]
  }
}

mock_data "aws_iam_policy_document" {
  defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
}

mock_data "aws_partition" {
  defaults = { dns_suffix = "amazonaws.com", partition = "aws" }
}
