# Tests of the fleet module alone. The root's tests cover its interaction with the other modules.

mock_provider "aws" {
  source = "./tests/mocks"
}

# Requirement 2.3, 8.1
run "a_zone_that_offers_one_of_the_types_is_used" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.this.vpc_zone_identifier == toset(["subnet-a", "subnet-b", "subnet-c"])
    error_message = "us-east-1c offers g5.xlarge and must be used"
  }
  assert {
    condition     = output.instance_types["us-east-1c"] == ["g5.xlarge"]
    error_message = "the offered types of a zone are wrong"
  }
}

# Requirement 2.3, 8.1
run "a_zone_that_offers_none_of_the_types_is_skipped_if_two_others_do" {
  command = plan

  variables {
    settings = merge(var.settings, { instance_types = ["g4dn.xlarge"] })
  }
  assert {
    condition     = aws_autoscaling_group.this.vpc_zone_identifier == toset(["subnet-a", "subnet-b"])
    error_message = "us-east-1c does not offer g4dn.xlarge and must be omitted"
  }
}

# Requirement 2.3, 10.2
run "a_type_that_the_region_does_not_offer_is_refused" {
  command = plan

  variables {
    settings = merge(var.settings, { instance_types = ["g5.xlarge", "p3.2xlarge"] })
  }
  expect_failures = [data.aws_ec2_instance_type_offerings.region]
}

# Requirement 2.3, 10.2
run "a_type_that_no_chosen_zone_offers_is_refused" {
  command = plan

  override_data {
    target = data.aws_ec2_instance_type_offerings.zones
    values = { instance_types = ["g5.xlarge", "g5.xlarge"], locations = ["us-east-1a", "us-east-1b"] }
  }
  expect_failures = [aws_autoscaling_group.this]
}

# Requirement 2.3, 8.1, 10.2
run "types_that_only_one_zone_offers_are_refused" {
  command = plan

  override_data {
    target = data.aws_ec2_instance_type_offerings.zones
    values = { instance_types = ["g5.xlarge", "g4dn.xlarge"], locations = ["us-east-1a", "us-east-1a"] }
  }
  expect_failures = [aws_autoscaling_group.this]
}

# Requirement 10.2
run "an_arm_image_is_refused" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = { architecture = "arm64" }
  }
  expect_failures = [data.aws_ami.this]
}

# Requirement 10.2
run "a_root_volume_smaller_than_the_images_is_refused" {
  command = plan

  override_data {
    target = data.aws_ami.this
    values = { block_device_mappings = [{ device_name = "/dev/sda1", ebs = { volume_size = "300" }, no_device = "", virtual_name = "" }] }
  }
  expect_failures = [data.aws_ami.this]
}

# Requirement 7.5, 10.2
run "a_tag_that_the_metadata_service_cannot_serve_is_refused" {
  command = plan

  variables {
    tags = { "cost centre" = "42", "team/owner" = "x" }
  }
  expect_failures = [var.tags]
}

# Requirement 3.3
run "load_without_a_fleet_wide_dimension_is_refused" {
  command = plan

  variables {
    contract = merge(var.contract, { metrics = { namespace = "OllamaGPU", names = {
      InFlight = { dimensions = [["AutoScalingGroupName"]] }
      Queued   = { dimensions = [["AutoScalingGroupName", "InstanceId"]] }
      Slots    = { dimensions = [["AutoScalingGroupName"]] }
    } } })
  }
  expect_failures = [aws_autoscaling_policy.inference_load]
}

# Requirement 10.2
run "a_wait_longer_than_a_lifecycle_hook_allows_is_refused" {
  command = plan

  variables {
    settings = merge(var.settings, { launch_wait_seconds = 7201 })
  }
  expect_failures = [var.settings]
}

run "metadata_needs_a_token_and_reaches_containers" {
  command = plan

  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required" && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 2
    error_message = "instances must require IMDSv2 with two hops"
  }
}

# Requirement 9.5
run "volumes_are_encrypted_with_the_compute_key" {
  command = plan

  assert {
    condition = alltrue([for device in aws_launch_template.this.block_device_mappings :
    device.ebs[0].encrypted == "true" && device.ebs[0].kms_key_id == var.key_arns.compute && device.device_name == "/dev/sda1"])
    error_message = "the image's root device must be encrypted by the customer managed key"
  }
}

# Requirement 7.5
run "instances_volumes_and_interfaces_are_tagged" {
  command = plan

  assert {
    condition = toset(aws_launch_template.this.tag_specifications[*].resource_type) == toset(["instance", "network-interface", "volume"]) && alltrue([
    for specification in aws_launch_template.this.tag_specifications : specification.tags["Environment"] == "test" && specification.tags["Fleet"] == "interactive"])
    error_message = "the launch template must set the tags, because default_tags do not apply to its resources"
  }
}

# Requirement 7.5
run "the_release_tag_of_the_group_does_not_overwrite_an_older_template_versions_tag" {
  command = plan

  assert {
    condition     = alltrue([for tag in aws_autoscaling_group.this.tag : tag.propagate_at_launch == (tag.key != "Release")])
    error_message = "every tag except Release must be propagated"
  }
}

# Requirement 2.5
run "interactive_is_on_demand_by_default" {
  command = plan

  assert {
    condition = (aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 2
    && aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 100)
    error_message = "without spot_percentage, no instance may be spot"
  }
}

# Requirement 2.4, 2.5
run "spot_is_a_percentage_above_the_base" {
  command = plan

  variables {
    settings = merge(var.settings, { spot_percentage = 40 })
  }
  assert {
    condition = (aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 2
      && aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 60
    && aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].spot_allocation_strategy == "price-capacity-optimized")
    error_message = "60 % on demand above a base of 2"
  }
}

# Requirement 2.4, 3.1, 7.2
run "batch_is_all_spot_and_wakes_from_zero" {
  command = plan

  variables {
    all_spot = true
    key      = "batch"
    settings = merge(var.settings, { min_size = 0 })
  }
  assert {
    condition = (aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 0
    && aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 0)
    error_message = "no instance of an all-spot fleet may be on-demand"
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.wake) == 1 && aws_autoscaling_policy.wake[0].step_adjustment != null
    error_message = "an empty fleet has no metric to track, so an alarm must start its first instance"
  }
}

run "a_fleet_that_is_never_empty_has_no_wake_alarm" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.wake) == 0
    error_message = "the interactive fleet is never empty"
  }
}

# Requirement 4.4, 8.2
run "hooks_exist_before_the_first_instance" {
  command = plan

  assert {
    condition = { for hook in aws_autoscaling_group.this.initial_lifecycle_hook : hook.name => "${hook.default_result} ${hook.heartbeat_timeout}" } == {
      ready   = "ABANDON 1800"
      drained = "CONTINUE 140"
    }
    error_message = "the group must be created with both hooks"
  }
  assert {
    condition     = { for hook in aws_autoscaling_lifecycle_hook.this : hook.name => "${hook.default_result} ${hook.heartbeat_timeout}" } == { ready = "ABANDON 1800", drained = "CONTINUE 140" }
    error_message = "later changes must apply to the hooks"
  }
}

# Requirement 3.1, 3.2, 3.3
run "scaling_follows_cpu_requests_and_inference_load" {
  command = plan

  assert {
    condition     = aws_autoscaling_policy.cpu.target_tracking_configuration[0].predefined_metric_specification[0].predefined_metric_type == "ASGAverageCPUUtilization"
    error_message = "CPU must be tracked"
  }
  assert {
    condition     = [for metric in aws_autoscaling_policy.requests.target_tracking_configuration[0].customized_metric_specification[0].metrics : metric.expression if metric.return_data] == ["FILL(requests, 0)"]
    error_message = "missing request counts must be treated as zero, or an unused fleet never scales in"
  }
  assert {
    condition     = [for metric in aws_autoscaling_policy.inference_load.target_tracking_configuration[0].customized_metric_specification[0].metrics : metric.expression if metric.return_data] == ["100 * (in_flight + queued) / slots"]
    error_message = "missing load must stay missing: without FILL, it prevents scaling in"
  }
}

# Requirement 3.4
run "an_apply_keeps_the_minimum_that_a_schedule_has_set" {
  command = plan

  variables {
    settings = merge(var.settings, { schedule = { office = { min_size = 3, recurrence = "0 8 * * MON-FRI", time_zone = "Europe/Vienna" } } })
  }
  override_data {
    target = data.aws_autoscaling_groups.existing
    values = { names = ["test-interactive"] }
  }
  override_data {
    target = data.aws_autoscaling_group.existing
    values = { min_size = 3 }
  }
  assert {
    condition     = aws_autoscaling_group.this.min_size == 3
    error_message = "an apply during office hours must not reset the minimum"
  }
  assert {
    condition     = aws_autoscaling_schedule.this["office"].max_size == -1 && aws_autoscaling_schedule.this["office"].desired_capacity == -1
    error_message = "a schedule must change only the minimum"
  }
  assert {
    condition = (aws_autoscaling_schedule.this["office"].min_size == 3 && aws_autoscaling_schedule.this["office"].recurrence == "0 8 * * MON-FRI"
    && aws_autoscaling_schedule.this["office"].time_zone == "Europe/Vienna" && aws_autoscaling_schedule.this["office"].autoscaling_group_name == "test-interactive")
    error_message = "the minimum must change to the schedule's value, at the schedule's time and time zone"
  }
}

# Requirement 9.4
run "user_data_is_below_16_kb_and_contains_no_secret" {
  command = plan

  assert {
    condition     = length(aws_launch_template.this.user_data) < 16384
    error_message = "EC2 limits user data to 16 KB"
  }
  assert {
    condition     = !strcontains(base64decode(aws_launch_template.this.user_data), "secretsmanager") && !strcontains(base64decode(aws_launch_template.this.user_data), "/test/image")
    error_message = "user data must contain no secret, because every process on the instance can read it"
  }
}

run "the_instance_description_on_aws_has_no_endpoint_and_no_variables" {
  command = plan

  assert {
    condition     = !strcontains(base64decode(aws_launch_template.this.user_data), "endpoint_url") && !strcontains(base64decode(aws_launch_template.this.user_data), "variables")
    error_message = "unset values must be omitted from the description"
  }
}

run "the_instance_description_on_the_embedded_aws_has_endpoint_and_variables" {
  command = plan

  variables {
    instance = {
      endpoint_url = "http://aws:5566"
      variables = {
        # as long as a CA certificate with a 2048-bit key
        boot_store_authorities = "-----BEGIN CERTIFICATE-----\n${join("\n", [for number in range(16) : join("", [for digit in range(64) : "A"])])}\n-----END CERTIFICATE-----\n"
        ollama_require_gpu     = false
        open_webui_processes   = 1
      }
    }
  }
  assert {
    condition = alltrue([for text in ["\"endpoint_url\":\"http://aws:5566\"", "\"ollama_require_gpu\":false", "\"open_webui_processes\":1", "-----BEGIN CERTIFICATE-----\\n"] :
    strcontains(base64decode(aws_launch_template.this.user_data), text)])
    error_message = "the description must contain the given values with their types"
  }
  assert {
    condition     = length(aws_launch_template.this.user_data) < 16384
    error_message = "EC2 limits user data to 16 KB"
  }
}
