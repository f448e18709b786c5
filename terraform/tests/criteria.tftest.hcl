# The root module's part: which modules exist, and what they pass to each other. Each module has its own tests. Computed values
# that the outputs need are known at plan time.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_autoscaling_group" {
    defaults = { min_size = 2 }
  }
  mock_data "aws_subnet" {
    defaults = { vpc_id = "vpc-1" }
  }
  mock_data "aws_vpc" {
    defaults = { enable_dns_hostnames = true, enable_dns_support = true, id = "vpc-1" }
  }
  mock_resource "aws_autoscaling_group" {
    defaults = { arn = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/mocked" }
  }
  mock_resource "aws_backup_plan" {
    defaults = { id = "plan-1" }
  }
  mock_resource "aws_backup_vault" {
    defaults = { arn = "arn:aws:backup:us-east-1:123456789012:backup-vault:mocked" }
  }
  mock_resource "aws_db_instance" {
    defaults = {
      address            = "database.example.internal"
      arn                = "arn:aws:rds:us-east-1:123456789012:db:mocked"
      master_user_secret = [{ kms_key_id = "", secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1", secret_status = "active" }]
    }
  }
  mock_resource "aws_efs_access_point" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1", id = "fsap-1" }
  }
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", id = "fs-1" }
  }
  mock_resource "aws_eip" {
    defaults = { public_ip = "203.0.113.1" }
  }
  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "cache.example.internal" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:123456789012:key/mocked", key_id = "mocked" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-1", latest_version = 1 }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::mocked", id = "mocked" }
  }
  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mocked" }
  }
  mock_resource "aws_security_group" {
    defaults = {}
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:us-east-1:123456789012:mocked" }
  }
  mock_resource "aws_subnet" {
    defaults = {}
  }
  mock_resource "aws_vpc" {
    defaults = {}
  }
  mock_resource "aws_wafv2_web_acl" {
    defaults = { arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/mocked/1" }
  }
}

variables {
  environment = "qa"
  region      = "us-east-1"
  edge        = { domain = { name = "chat.example.org", zone = "example.org" } }
  fleets = {
    interactive = { instance_types = ["g5.xlarge", "g4dn.xlarge"], min_size = 2, max_size = 4 }
  }
}

# Requirement 5.4
run "the_database_alarms_follow_the_class_and_the_size_of_the_database" {
  command = plan

  variables {
    data = { database_instance_class = "db.t4g.medium", database_storage_gib = 20 }
  }
  assert {
    condition     = local.alarms.database_connections == 324 && local.alarms.database_free_storage_gib == 1
    error_message = "an alarm on 20 GiB of free storage would fire for ever on a volume of 20 GiB, and 800 connections are never reached on a small class"
  }
}

run "a_threshold_that_is_set_and_a_class_that_is_not_known_are_accepted" {
  command = plan

  variables {
    alarms = { database_free_storage_gib = 7 }
    data   = { database_instance_class = "db.x2g.large" }
  }
  assert {
    condition     = local.alarms.database_connections == 800 && local.alarms.database_free_storage_gib == 7
    error_message = "a set threshold counts, and an unknown class has a default"
  }
}

# Requirement 1.1, 2.2, 8.1, 10.1
run "one_plan_creates_the_whole_fabric_in_three_zones_with_gpu_types_and_the_published_image" {
  command = plan

  assert {
    condition     = length(output.network.zones) == 3 && length(distinct(output.network.private_subnet_ids)) == 3
    error_message = "three zones are the default"
  }
  assert {
    condition = output.fleets["interactive"].group_name == "ollama-gpu-qa-interactive" && alltrue([
    for zone in output.network.zones : tolist(output.fleets["interactive"].instance_types[zone]) == var.fleets["interactive"].instance_types])
    error_message = "the fleet must use the requested types in each zone"
  }
  assert {
    condition     = data.aws_ssm_parameter.image[0].name == replace(local.contract.parameters.image, "{environment}", "qa") && output.image_id == "ami-0123456789abcdef0"
    error_message = "without image_id, the image must be read from the parameter that the bake publishes"
  }
}

# Requirement 2.1
run "every_supported_gpu_family_is_accepted" {
  command = plan

  variables {
    fleets = { interactive = { instance_types = ["g4dn.12xlarge", "g5.48xlarge", "p3.8xlarge", "g6.xlarge", "g6e.xlarge"], min_size = 2, max_size = 4 } }
  }
  override_data {
    target = module.fleet["interactive"].data.aws_ec2_instance_type_offerings.region
    values = { instance_types = ["g4dn.12xlarge", "g5.48xlarge", "p3.8xlarge", "g6.xlarge", "g6e.xlarge"] }
  }
  override_data {
    target = module.fleet["interactive"].data.aws_ec2_instance_type_offerings.zones
    values = {
      instance_types = ["g4dn.12xlarge", "g5.48xlarge", "p3.8xlarge", "g6.xlarge", "g6e.xlarge", "p3.8xlarge"]
      locations      = ["us-east-1a", "us-east-1a", "us-east-1a", "us-east-1a", "us-east-1a", "us-east-1b"]
    }
  }
  assert {
    condition     = tolist(output.fleets["interactive"].instance_types["us-east-1a"]) == var.fleets["interactive"].instance_types && output.fleets["interactive"].instance_types["us-east-1b"] == ["p3.8xlarge"]
    error_message = "g4dn, g5, p3, g6 and g6e must be accepted in each zone that offers them"
  }
}

# Requirement 2.5
run "without_spot_there_is_no_batch_fleet_target_group_or_alarm" {
  command = plan

  variables {
    fleets = {
      interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4 }
      batch       = { instance_types = ["g4dn.xlarge"], min_size = 0, max_size = 2, routing = { header_values = ["batch"] } }
    }
  }
  assert {
    condition     = !var.spot_enabled && var.fleets["interactive"].spot_percentage == 0 && var.fleets["interactive"].on_demand_base >= 2
    error_message = "on-demand must be the default"
  }
  assert {
    condition     = keys(output.fleets) == ["interactive"] && keys(output.target_group_arns) == ["interactive"] && length([for name in keys(module.observability.alarm_names) : name if startswith(name, "batch")]) == 0
    error_message = "no group, target group or alarm may exist for a fleet that does not exist"
  }
}

# Requirement 2.4, 7.2
run "with_spot_the_batch_fleet_has_a_target_group_and_alarms" {
  command = plan

  variables {
    spot_enabled = true
    fleets = {
      interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, spot_percentage = 50 }
      batch       = { instance_types = ["g4dn.xlarge"], min_size = 0, max_size = 2, routing = { header_values = ["batch"] } }
    }
  }
  assert {
    condition     = keys(output.fleets) == ["batch", "interactive"] && keys(output.target_group_arns) == ["batch", "interactive"] && contains(keys(module.observability.alarm_names), "batch-gpu-missing")
    error_message = "the group, target group and alarms of batch must exist"
  }
  assert {
    condition     = output.fleets["batch"].group_name == "ollama-gpu-qa-batch"
    error_message = "a group must be named after the environment and the fleet"
  }
}

# Requirement 7.5
run "everything_is_tagged_with_project_environment_and_release" {
  command = plan

  variables {
    release = "4f2a9c1"
    tags    = { CostCentre = "42", Project = "other" }
  }
  assert {
    # The provider's default_tags and every fleet use this map.
    condition     = local.tags == { CostCentre = "42", Environment = "qa", ManagedBy = "Terraform", Project = local.contract.project, Release = "4f2a9c1" }
    error_message = "additional tags must be added, and none may replace the identifying tags"
  }
}

# Requirement 9.4
run "the_fabric_parameter_names_secrets_and_contains_none" {
  command = plan

  assert {
    condition     = aws_ssm_parameter.fabric.type == "String" && aws_ssm_parameter.fabric.name == replace(local.contract.parameters.fabric, "{environment}", "qa")
    error_message = "the parameter must have the name in the contract"
  }
  assert {
    condition     = toset(keys(jsondecode(aws_ssm_parameter.fabric.value))) == toset(["artifacts", "cache", "database", "environment", "files", "log_groups", "region", "secrets", "uploads", "url"])
    error_message = "review a new key: everyone who debugs a boot can read it"
  }
  assert {
    condition     = length(regexall("(?i)\"[^\"]*(password|token|secret_string|private_key)[^\"]*\":", aws_ssm_parameter.fabric.value)) == 0
    error_message = "no key may hold a secret"
  }
  assert {
    condition = jsondecode(aws_ssm_parameter.fabric.value).secrets == local.secrets && alltrue([
      for name in values(jsondecode(aws_ssm_parameter.fabric.value).secrets) : startswith(name, "ollama-gpu/qa/")
    ])
    error_message = "the parameter must name only this environment's secrets"
  }
}

# Requirement 9.4
run "sign_on_becomes_a_role_variable_and_keeps_the_other_variables" {
  command = plan

  variables {
    instance = { variables = { open_webui_processes = 4 } }
    sign_on  = { client_id = "chat", discovery_url = "https://login.example.org/.well-known/openid-configuration" }
  }

  assert {
    condition     = local.instance.variables.open_webui_processes == 4 && local.instance.variables.open_webui_sign_on.client_id == "chat"
    error_message = "the instance description must contain both"
  }
  assert {
    condition     = local.instance.variables.open_webui_sign_on.default_role == "pending" && local.instance.variables.open_webui_sign_on.password_sign_in
    error_message = "by default, a new account must wait for an administrator, and password sign-in must keep working"
  }
  assert {
    condition     = !strcontains(lower(jsonencode(local.instance)), "secret")
    error_message = "the client secret must be only in Secrets Manager"
  }
}

# Requirement 10.5
run "outputs_contain_every_identifier_and_address" {
  command = plan

  assert {
    condition = alltrue([for value in [
      output.artifact_bucket, output.backup, output.cache_replication_group_id, output.certificate_arn, output.dashboard, output.endpoints, output.fleets, output.image_id,
      output.key_arns, output.load_balancer, output.log_groups, output.network, output.parameters, output.region, output.release, output.rollout, output.secret_arns, output.target_group_arns,
      output.topic_arn, output.url, output.web_acl_arn,
    ] : !strcontains(jsonencode(value), "null") && !strcontains(jsonencode(value), "\"\"")])
    error_message = "no output may be empty"
  }
  assert {
    condition     = output.url == "https://chat.example.org" && output.load_balancer.dns_name == "ollama-gpu-qa.us-east-1.elb.amazonaws.com" && output.artifact_bucket == "ollama-gpu-artifacts-123456789012-us-east-1"
    error_message = "the addresses must be the ones that users, DNS and the driver use"
  }
  assert {
    condition     = toset(keys(output.secret_arns)) == toset(keys(local.contract.secrets)) && toset(keys(output.endpoints)) == toset(["cache", "database", "files", "uploads"]) && length(output.network.nat_public_ips) == 3
    error_message = "secrets, stores and outgoing addresses must be complete"
  }
}

# Requirement 8.1, 9.3
run "an_existing_network_is_used_unchanged" {
  command = plan

  variables {
    network = { existing = {
      data_subnet_ids    = ["subnet-data-a", "subnet-data-b"]
      private_subnet_ids = ["subnet-private-a", "subnet-private-b"]
      public_subnet_ids  = ["subnet-public-a", "subnet-public-b"]
      vpc_id             = "vpc-1"
    } }
  }
  override_data {
    target = module.network.data.aws_subnet.existing["data-0"]
    values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
  }
  override_data {
    target = module.network.data.aws_subnet.existing["data-1"]
    values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
  }
  override_data {
    target = module.network.data.aws_subnet.existing["private-0"]
    values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
  }
  override_data {
    target = module.network.data.aws_subnet.existing["private-1"]
    values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
  }
  override_data {
    target = module.network.data.aws_subnet.existing["public-0"]
    values = { availability_zone = "us-east-1a", vpc_id = "vpc-1" }
  }
  override_data {
    target = module.network.data.aws_subnet.existing["public-1"]
    values = { availability_zone = "us-east-1b", vpc_id = "vpc-1" }
  }
  assert {
    condition = (output.network.vpc_id == "vpc-1" && output.network.private_subnet_ids == tolist(["subnet-private-a", "subnet-private-b"]) && output.network.zones == tolist(["us-east-1a", "us-east-1b"])
    && length(output.network.nat_public_ips) == 0 && keys(output.fleets["interactive"].instance_types) == ["us-east-1a", "us-east-1b"])
    error_message = "the fabric must use the given subnets and their zones"
  }
}

# Requirement 9.3
run "an_internal_load_balancer_uses_private_subnets" {
  command = plan

  variables {
    edge = { domain = { name = "chat.example.org", zone = "example.org" }, internal = true }
  }
  # A run cannot see the inputs of a module. So this run has no public subnets, and a load balancer that used them would fail the plan.
  override_module {
    target = module.network
    outputs = {
      data_subnet_ids    = ["subnet-data-a", "subnet-data-b"]
      nat_public_ips     = []
      private_subnet_ids = ["subnet-private-a", "subnet-private-b"]
      public_subnet_ids  = null
      security_group_ids = { cache = "sg-1", database = "sg-2", edge = "sg-3", files = "sg-4", instance = "sg-5" }
      vpc_id             = "vpc-1"
      zones              = ["us-east-1a", "us-east-1b"]
    }
  }
  assert {
    condition     = output.network.public_subnet_ids == null
    error_message = "public subnets must be absent, or this run proves nothing"
  }
}

# Requirement 9.3
run "an_internet_facing_load_balancer_uses_public_subnets" {
  command = plan

  # The opposite of the run above. The fleet is overridden because it needs private subnets.
  override_module {
    target = module.network
    outputs = {
      data_subnet_ids    = ["subnet-data-a", "subnet-data-b"]
      nat_public_ips     = []
      private_subnet_ids = null
      public_subnet_ids  = ["subnet-public-a", "subnet-public-b"]
      security_group_ids = { cache = "sg-1", database = "sg-2", edge = "sg-3", files = "sg-4", instance = "sg-5" }
      vpc_id             = "vpc-1"
      zones              = ["us-east-1a", "us-east-1b"]
    }
  }
  override_module {
    target = module.fleet
    outputs = {
      group_arn       = "arn"
      group_name      = "group"
      instance_types  = {}
      launch_template = {}
      role_arn        = "arn"
    }
  }
  assert {
    condition     = output.network.private_subnet_ids == null
    error_message = "private subnets must be absent, or this run proves nothing"
  }
}

# Requirement 2.2, 10.1
run "all_settings_of_an_administrator_plan_together" {
  command = plan

  variables {
    environment = "production"
    alarms      = { emails = ["ops@example.org"], notification_requires_composite = true }
    data        = { backup_copy_vault_arn = "arn:aws:backup:eu-west-1:210987654321:backup-vault:copies", cache_replicas = 2, deletion_protection = true }
    edge = {
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/given"
      client_cidrs    = ["203.0.113.0/24", "198.51.100.0/24"]
      public_name     = "chat.example.com"
    }
    fleets = {
      interactive = {
        instance_types  = ["g5.xlarge", "g4dn.xlarge"]
        min_size        = 2
        max_size        = 14
        desired_size    = 3
        on_demand_base  = 3
        spot_percentage = 30
        schedule        = { office_opens = { min_size = 4, recurrence = "0 7 * * MON-FRI", time_zone = "Europe/Vienna" } }
        root_volume     = { size_gib = 300, iops = 8000, throughput_mibs = 1000 }
      }
      batch = { instance_types = ["g4dn.xlarge"], min_size = 0, max_size = 4, routing = { hosts = ["batch.example.com"], header_values = ["batch"] } }
    }
    image_id                 = "ami-0fedcba9876543210"
    network                  = { cidr = "10.60.0.0/16", ssh_cidrs = ["203.0.113.7/32"], zones = ["us-east-1a", "us-east-1b", "us-east-1c"] }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
    spot_enabled             = true
    tags                     = { CostCentre = "42" }
  }
  assert {
    condition     = output.url == "https://chat.example.com" && output.certificate_arn == "arn:aws:acm:us-east-1:123456789012:certificate/given" && length(output.fleets) == 2
    error_message = "certificate, name and fleets must follow the variables"
  }
  assert {
    condition     = output.image_id == "ami-0fedcba9876543210" && length(data.aws_ssm_parameter.image) == 0
    error_message = "image_id must take precedence, even if no image was published"
  }
  assert {
    condition = alltrue([for name in concat(values(output.log_groups), values(output.parameters), values(local.secrets), [output.backup.vault_name, output.cache_replication_group_id, output.dashboard.name],
    [for fleet in output.fleets : fleet.group_name]) : strcontains(name, "production")])
    error_message = "every name must contain the environment's name, so that two environments can share an account"
  }
}

# Requirement 10.2
run "invalid_values_of_several_variables_are_refused_in_one_plan" {
  command = plan

  variables {
    alarms                   = { emails = ["ops@example.org", "ops"] }
    data                     = { database_storage_gib = 200, database_max_storage_gib = 200 }
    edge                     = { certificate_arn = "chat.example.org" }
    image_id                 = "ami-XYZ"
    network                  = { zone_count = 1 }
    permissions_boundary_arn = "boundary"
    region                   = "Virginia"
  }
  expect_failures = [var.alarms, var.data, var.edge, var.image_id, var.network, var.permissions_boundary_arn, var.region]
}

# Requirement 10.2
run "values_outside_their_range_are_refused" {
  command = plan

  variables {
    data    = { backup_retention_days = 36 }
    edge    = { domain = { name = "chat.example.org", zone = "example.org" }, stickiness = 604801 }
    fleets  = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, schedule = { office_opens = { min_size = 5, recurrence = "0 7 * * *" } } } }
    network = { cidr = "10.40.0.0/24" }
  }
  expect_failures = [var.data, var.edge, var.fleets, var.network]
}

# Requirement 10.2
run "values_that_aws_or_the_roles_would_refuse_later_are_refused_in_one_plan" {
  command = plan

  variables {
    alarms            = { monthly_budget_usd = 0 }
    collection_sha256 = "latest"
    edge              = { domain = { name = "chat.example.org", zone = "example.org" }, client_cidrs = ["203.0.113.0/24", "our office"] }
    fleets            = { interactive = { instance_types = ["g5.xlarge"], min_size = 2, max_size = 4, spot_percentage = 101 } }
    models            = ["gemma3 4b"]
    network           = { zone_count = 5 }
    sign_on           = { client_id = "chat", discovery_url = "https://login.example.org/.well-known/openid-configuration", scopes = "openid" }
    spot_enabled      = true
  }
  expect_failures = [var.alarms, var.collection_sha256, var.edge, var.fleets, var.models, var.network, var.sign_on]
}

# Requirement 10.2
run "too_many_client_ranges_and_an_invalid_sign_on_domain_are_refused" {
  command = plan

  variables {
    edge    = { domain = { name = "chat.example.org", zone = "example.org" }, client_cidrs = [for number in range(31) : "10.0.${number}.0/24"] }
    sign_on = { client_id = "chat", discovery_url = "https://login.example.org/.well-known/openid-configuration", allowed_domains = ["@example.org"] }
  }
  expect_failures = [var.edge, var.sign_on]
}
