# Invalid values that the plan must refuse before it costs money. Each run sets one invalid value and expects its validation to
# fail.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment = "qa"
  region      = "us-east-1"
  edge        = { domain = { name = "chat.example.org", zone = "example.org" } }
  fleets = {
    interactive = { instance_types = ["g5.xlarge", "g4dn.xlarge"], min_size = 2, max_size = 4 }
  }
}

run "an_instance_type_outside_the_gpu_families_is_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["t3.xlarge"], min_size = 2, max_size = 4 } }
  }
  expect_failures = [var.fleets]
}

run "a_minimum_below_two_is_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["g5.xlarge"], min_size = 1, max_size = 4 } }
  }
  expect_failures = [var.fleets]
}

run "a_maximum_below_the_minimum_is_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["g5.xlarge"], min_size = 4, max_size = 3 } }
  }
  expect_failures = [var.fleets]
}

run "a_desired_size_outside_minimum_and_maximum_is_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, desired_size = 5 } }
  }
  expect_failures = [var.fleets]
}

run "fleets_without_interactive_are_refused" {
  command = plan
  variables {
    fleets = { batch = { instance_types = ["g5.xlarge"], min_size = 0, max_size = 4, routing = { hosts = ["batch.example.org"] } } }
  }
  expect_failures = [var.fleets]
}

run "a_batch_minimum_above_one_is_refused" {
  command = plan
  variables {
    spot_enabled = true
    fleets = {
      interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4 }
      batch       = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, routing = { hosts = ["batch.example.org"] } }
    }
  }
  expect_failures = [var.fleets]
}

run "a_batch_fleet_that_no_request_can_reach_is_refused" {
  command = plan
  variables {
    spot_enabled = true
    fleets = {
      interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4 }
      batch       = { instance_types = ["g5.xlarge"], min_size = 0, max_size = 4 }
    }
  }
  expect_failures = [var.fleets]
}

run "an_on_demand_base_below_two_is_refused" {
  command = plan
  variables {
    spot_enabled = true
    fleets       = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, on_demand_base = 1, spot_percentage = 50 } }
  }
  expect_failures = [var.fleets]
}

run "spot_instances_while_spot_is_off_are_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, spot_percentage = 50 } }
  }
  expect_failures = [var.fleets]
}

run "a_drain_longer_than_a_spot_notice_is_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, drain_seconds = 300 } }
  }
  expect_failures = [var.fleets]
}

run "a_volume_outside_the_gp3_limits_is_refused" {
  command = plan
  variables {
    fleets = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, root_volume = { iops = 3000, throughput_mibs = 1000 } } }
  }
  expect_failures = [var.fleets]
}

run "one_zone_is_refused" {
  command = plan
  variables {
    network = { zones = ["us-east-1a"] }
  }
  expect_failures = [var.network]
}

run "the_same_zone_twice_is_refused" {
  command = plan
  variables {
    network = { zones = ["us-east-1a", "us-east-1a"] }
  }
  expect_failures = [var.network]
}

run "ssh_from_everywhere_is_refused" {
  command = plan
  variables {
    network = { ssh_cidrs = ["0.0.0.0/0"] }
  }
  expect_failures = [var.network]
}

run "ssh_from_everywhere_by_ipv6_is_refused" {
  command = plan
  variables {
    network = { ssh_cidrs = ["203.0.113.0/24", "::/0"] }
  }
  expect_failures = [var.network]
}

run "ssh_from_half_of_the_internet_is_refused" {
  command = plan
  variables {
    network = { ssh_cidrs = ["0.0.0.0/1", "128.0.0.0/1"] }
  }
  expect_failures = [var.network]
}

run "a_network_that_overlaps_a_reserved_range_is_refused" {
  command = plan
  variables {
    network = { cidr = "10.40.0.0/16", reserved_cidrs = ["10.0.0.0/8"] }
  }
  expect_failures = [var.network]
}

run "a_network_that_contains_a_reserved_range_is_refused" {
  command = plan
  variables {
    network = { cidr = "10.40.0.0/16", reserved_cidrs = ["192.168.0.0/16", "10.40.128.0/20"] }
  }
  expect_failures = [var.network]
}

run "an_existing_network_with_one_subnet_is_refused" {
  command = plan
  variables {
    network = { existing = { vpc_id = "vpc-1", data_subnet_ids = ["a"], private_subnet_ids = ["a", "b"], public_subnet_ids = ["a", "b"] } }
  }
  expect_failures = [var.network]
}

run "a_front_door_without_certificate_is_refused" {
  command = plan
  variables {
    edge = {}
  }
  expect_failures = [var.edge]
}

run "a_domain_name_outside_its_zone_is_refused" {
  command = plan
  variables {
    edge = { domain = { name = "chat.example.com", zone = "example.org" } }
  }
  expect_failures = [var.edge]
}

run "a_health_check_timeout_not_below_its_interval_is_refused" {
  command = plan
  variables {
    edge = { domain = { name = "chat.example.org", zone = "example.org" }, health_check_interval = 10, health_check_timeout = 10 }
  }
  expect_failures = [var.edge]
}

run "a_health_check_threshold_outside_its_range_is_refused" {
  command = plan
  variables {
    edge = { domain = { name = "chat.example.org", zone = "example.org" }, unhealthy_threshold = 1 }
  }
  expect_failures = [var.edge]
}

run "a_front_door_without_client_ranges_is_refused" {
  command = plan
  variables {
    edge = { domain = { name = "chat.example.org", zone = "example.org" }, client_cidrs = [] }
  }
  expect_failures = [var.edge]
}

run "a_health_check_interval_below_the_minimum_is_refused" {
  command = plan
  variables {
    edge = { domain = { name = "chat.example.org", zone = "example.org" }, health_check_interval = 4, health_check_timeout = 2 }
  }
  expect_failures = [var.edge]
}

run "an_idle_timeout_below_the_stream_limit_is_refused" {
  command = plan
  variables {
    edge = { domain = { name = "chat.example.org", zone = "example.org" }, idle_timeout = 60, stream_limit = 300 }
  }
  expect_failures = [var.edge]
}

run "a_cache_without_replica_is_refused" {
  command = plan
  variables {
    data = { cache_replicas = 0 }
  }
  expect_failures = [var.data]
}

run "an_environment_name_too_long_for_a_load_balancer_is_refused" {
  command = plan
  variables {
    environment = "production-of-europe"
  }
  expect_failures = [var.environment]
}

run "an_invalid_e_mail_address_is_refused" {
  command = plan
  variables {
    alarms = { emails = ["ops at example.org"] }
  }
  expect_failures = [var.alarms]
}

run "an_invalid_image_id_is_refused" {
  command = plan
  variables {
    image_id = "latest"
  }
  expect_failures = [var.image_id]
}

run "an_environment_on_aws_that_would_serve_from_cpus_is_refused" {
  command = plan
  variables {
    instance = { variables = { ollama_require_gpu = false } }
  }
  expect_failures = [var.instance]
}

run "an_endpoint_url_is_refused_outside_local" {
  command = plan
  variables {
    instance = { endpoint_url = "http://aws:5566" }
  }
  expect_failures = [var.instance]
}

run "instance_variables_that_are_not_a_map_are_refused" {
  command = plan
  variables {
    environment = "local"
    instance    = { variables = ["ollama_require_gpu"] }
  }
  expect_failures = [var.instance]
}

run "sign_on_without_a_discovery_document_is_refused" {
  command = plan
  variables {
    sign_on = { client_id = "chat", discovery_url = "http://login.example.org" }
  }
  expect_failures = [var.sign_on]
}

run "sign_on_that_locks_out_administrators_is_refused" {
  command = plan
  variables {
    sign_on = {
      client_id        = "chat"
      discovery_url    = "https://login.example.org/.well-known/openid-configuration"
      password_sign_in = false
    }
  }
  expect_failures = [var.sign_on]
}

run "sign_on_that_makes_everyone_an_administrator_is_refused" {
  command = plan
  variables {
    sign_on = {
      client_id     = "chat"
      default_role  = "admin"
      discovery_url = "https://login.example.org/.well-known/openid-configuration"
    }
  }
  expect_failures = [var.sign_on]
}

run "a_bake_time_above_two_days_is_refused" {
  command = plan
  variables {
    rollout = { bake_seconds = 200000 }
  }
  expect_failures = [var.rollout]
}

run "a_rollout_warmup_above_one_hour_is_refused" {
  command = plan
  variables {
    rollout = { warmup_seconds = 7200 }
  }
  expect_failures = [var.rollout]
}

run "a_region_of_another_partition_is_refused" {
  command = plan
  variables {
    region = "us-gov-west-1"
  }
  expect_failures = [var.region]
}

run "a_tag_key_that_instance_metadata_refuses_is_refused" {
  command = plan
  variables {
    tags = { "Cost Center" = "42" }
  }
  expect_failures = [var.tags]
}

run "a_tag_key_with_a_slash_is_refused" {
  command = plan
  variables {
    tags = { "kubernetes.io/cluster" = "owned" }
  }
  expect_failures = [var.tags]
}

run "a_reserved_tag_key_is_refused" {
  command = plan
  variables {
    tags = { "aws:owner" = "me" }
  }
  expect_failures = [var.tags]
}
