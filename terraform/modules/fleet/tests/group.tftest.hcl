# The group, its instances and their role, according to the requirements. Computed values are known at plan time.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::123456789012:instance-profile/test-interactive-instance" }
  }
  mock_resource "aws_launch_template" {
    defaults = {}
  }
}

# Requirement 1.1, 2.1, 2.2, 9.3
run "the_group_launches_the_configured_gpu_types_and_image_without_public_addresses" {
  command = plan

  assert {
    condition = (aws_autoscaling_group.this.mixed_instances_policy[0].launch_template[0].override[*].instance_type == tolist(["g5.xlarge", "g4dn.xlarge"])
    && aws_autoscaling_group.this.mixed_instances_policy[0].launch_template[0].launch_template_specification[0].launch_template_id == aws_launch_template.this.id)
    error_message = "instances must have the types in instance_types, in the order of preference"
  }
  assert {
    condition     = aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_allocation_strategy == "prioritized"
    error_message = "the order of instance_types must count"
  }
  assert {
    condition     = aws_launch_template.this.image_id == "ami-0123456789abcdef0" && data.aws_ami.this.architecture == "x86_64"
    error_message = "instances must boot the given image"
  }
  assert {
    condition = (length(aws_launch_template.this.network_interfaces) == 1 && aws_launch_template.this.network_interfaces[0].associate_public_ip_address == "false"
    && aws_launch_template.this.network_interfaces[0].security_groups == toset(["sg-1"]) && aws_launch_template.this.key_name == null)
    error_message = "instances must have no public address, no SSH key and the fabric's security group"
  }
}

# Requirement 3.2, 3.4, 3.5, 7.1
run "an_idle_fleet_shrinks_to_its_minimum_and_a_busy_one_never_exceeds_its_maximum" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.this.min_size == 2 && aws_autoscaling_group.this.max_size == 4 && aws_autoscaling_group.this.desired_capacity == 2
    error_message = "a fleet must start at min_size and never exceed max_size"
  }
  assert {
    condition = alltrue([for policy in [aws_autoscaling_policy.cpu, aws_autoscaling_policy.requests, aws_autoscaling_policy.inference_load] :
    coalesce(policy.enabled, true) && !coalesce(policy.target_tracking_configuration[0].disable_scale_in, false) && policy.autoscaling_group_name == "test-interactive"])
    error_message = "every policy must allow scaling in, because a single policy without it keeps the fleet large"
  }
  assert {
    condition = [for policy in [aws_autoscaling_policy.cpu, aws_autoscaling_policy.requests, aws_autoscaling_policy.inference_load] : policy.target_tracking_configuration[0].target_value
    ] == [var.settings.scaling.cpu_percent, var.settings.scaling.requests_per_target_per_minute, var.settings.scaling.inference_load_percent]
    error_message = "targets must follow the variables"
  }
  assert {
    condition     = aws_autoscaling_group.this.default_instance_warmup == 300
    error_message = "an instance that is still warming up must not count"
  }
}

# Requirement 4.4, 8.2
run "an_unhealthy_instance_is_replaced_before_it_is_terminated" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.this.health_check_type == "ELB" && aws_autoscaling_group.this.target_group_arns == toset([var.target_group.arn])
    error_message = "the group must register its instances and use the load balancer's health checks"
  }
  assert {
    condition     = aws_autoscaling_group.this.instance_maintenance_policy[0].min_healthy_percentage == 100 && aws_autoscaling_group.this.capacity_rebalance
    error_message = "a replacement must serve before its predecessor is terminated, also when spot capacity is reclaimed"
  }
  assert {
    condition     = aws_autoscaling_group.this.max_instance_lifetime == 30 * 86400
    error_message = "no instance may be older than max_lifetime_days"
  }
}

# Requirement 7.3
run "the_root_volume_is_gp3_with_the_configured_performance" {
  command = plan

  assert {
    condition = [for device in aws_launch_template.this.block_device_mappings : "${device.ebs[0].volume_type} ${device.ebs[0].volume_size} ${device.ebs[0].iops} ${device.ebs[0].throughput}"
    ] == ["gp3 200 6000 500"] && aws_launch_template.this.ebs_optimized == "true"
    error_message = "size, IOPS and throughput must follow root_volume"
  }
}

# Requirement 9.4
run "the_instance_role_has_only_the_permissions_that_an_instance_needs" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }
  assert {
    condition = alltrue(flatten([for document in [data.aws_iam_policy_document.lifecycle, data.aws_iam_policy_document.release, data.aws_iam_policy_document.session, data.aws_iam_policy_document.storage,
      data.aws_iam_policy_document.telemetry] : [for statement in document.statement : [for action in statement.actions : !strcontains(action, "*")]
    ]]))
    error_message = "every action must be named"
  }
  assert {
    # Channels, Metrics, GroupName, OwnState: actions that support no resources.
    condition = toset(flatten([for document in [data.aws_iam_policy_document.lifecycle, data.aws_iam_policy_document.release, data.aws_iam_policy_document.session, data.aws_iam_policy_document.storage,
      data.aws_iam_policy_document.telemetry] : [for statement in document.statement : statement.actions if contains(statement.resources, "*")]
      ])) == toset([
      "autoscaling:DescribeAutoScalingInstances", "cloudwatch:PutMetricData", "ec2:DescribeTags",
      "ec2messages:AcknowledgeMessage", "ec2messages:DeleteMessage", "ec2messages:FailMessage", "ec2messages:GetEndpoint", "ec2messages:GetMessages", "ec2messages:SendReply",
      "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
    ])
    error_message = "only actions that support no resources may use `*`"
  }
  assert {
    condition = { for statement in data.aws_iam_policy_document.release.statement : statement.sid => sort(statement.resources) if contains(["Parameters", "Secrets", "DatabaseMaster", "Artifacts"], statement.sid) } == {
      Artifacts      = tolist(["arn:aws:s3:::artifacts/collections/*.tar.gz", "arn:aws:s3:::artifacts/models/test/*"])
      DatabaseMaster = tolist([var.master_secret_arn])
      Parameters     = tolist(["arn:aws:ssm:us-east-1:123456789012:parameter/test/fabric", "arn:aws:ssm:us-east-1:123456789012:parameter/test/models"])
      Secrets        = tolist(values(var.secret_arns))
    }
    error_message = "an instance may read only its own environment's parameters and secrets, and the artifacts"
  }
  assert {
    condition = alltrue([for statement in concat(data.aws_iam_policy_document.release.statement, data.aws_iam_policy_document.storage.statement) : contains([for condition in statement.condition : condition.variable], "kms:ViaService")
    if anytrue([for action in statement.actions : startswith(action, "kms:")])])
    error_message = "keys may only be used through the service whose data they protect"
  }
  assert {
    condition = (one([for statement in data.aws_iam_policy_document.lifecycle.statement : statement.resources if statement.sid == "Report"]) == toset(["arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/test-interactive"])
    && [for condition in one([for statement in data.aws_iam_policy_document.telemetry.statement : statement.condition if statement.sid == "Metrics"]) : condition.values] == [tolist([var.contract.metrics.namespace])])
    error_message = "an instance may report only to its own group and its own namespace"
  }
  assert {
    condition     = aws_iam_role.this.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary" && one(data.aws_iam_policy_document.trust.statement[0].principals[*].identifiers) == toset(["ec2.amazonaws.com"])
    error_message = "only EC2 may assume the role, within the boundary"
  }
}
