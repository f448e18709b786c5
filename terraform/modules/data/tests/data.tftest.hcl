# Computed values are known at plan time, so that the tests can compare references between resources.
mock_provider "aws" {
  source          = "../../tests/mocks"
  override_during = plan

  mock_resource "aws_db_instance" {
    defaults = {
      address            = "database.example.internal"
      arn                = "arn:aws:rds:us-east-1:123456789012:db:test-database"
      master_user_secret = [{ kms_key_id = "", secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!db-1", secret_status = "active" }]
    }
  }
  mock_resource "aws_db_parameter_group" {
    defaults = {}
  }
  mock_resource "aws_efs_access_point" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1", id = "fsap-1" }
  }
  mock_resource "aws_efs_file_system" {
    defaults = { arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", id = "fs-1" }
  }
  mock_resource "aws_elasticache_replication_group" {
    defaults = { primary_endpoint_address = "cache.example.internal" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/test-database-monitoring" }
  }
}

override_resource {
  target = aws_kms_key.compute
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/compute", key_id = "compute" }

  override_during = plan
}

override_resource {
  target = aws_kms_key.data
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/data", key_id = "data" }

  override_during = plan
}

override_resource {
  target = aws_kms_key.logs
  values = { arn = "arn:aws:kms:us-east-1:123456789012:key/logs", key_id = "logs" }

  override_during = plan
}

override_resource {
  target = aws_s3_bucket.logs
  values = { arn = "arn:aws:s3:::logs", id = "logs" }

  override_during = plan
}

override_resource {
  target = aws_s3_bucket.uploads
  values = { arn = "arn:aws:s3:::uploads", id = "uploads" }

  override_during = plan
}

variables {
  access_log_days          = 90
  cache_port               = yamldecode(file("../../../contract/instance.yaml")).ports.cache
  database_port            = yamldecode(file("../../../contract/instance.yaml")).ports.database
  environment              = "test"
  name                     = "test"
  permissions_boundary_arn = null
  region                   = "us-east-1"
  secret_names             = { for key, name in yamldecode(file("../../../contract/instance.yaml")).secrets : key => replace(name, "{environment}", "test") }
  security_group_ids       = { cache = "sg-cache", database = "sg-database", files = "sg-files" }
  settings = {
    backup_copy_vault_arn          = null
    backup_retention_days          = 35
    cache_node_type                = "cache.r7g.large"
    cache_replicas                 = 1
    database_instance_class        = "db.r6g.xlarge"
    database_max_storage_gib       = 1000
    database_storage_gib           = 100
    deletion_protection            = true
    uploads_expire_noncurrent_days = 90
  }
  subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]
}

# Requirement 8.1, 8.4, 9.3
run "the_stores_survive_a_zone_failure_and_have_private_subnets_and_own_security_groups" {
  command = plan

  assert {
    condition = (aws_db_instance.this.multi_az && !aws_db_instance.this.publicly_accessible
      && aws_db_instance.this.db_subnet_group_name == aws_db_subnet_group.this.name && aws_db_subnet_group.this.subnet_ids == toset(var.subnet_ids)
    && aws_db_instance.this.vpc_security_group_ids == toset(["sg-database"]))
    error_message = "the database must have a standby in another zone and no public address"
  }
  assert {
    condition = (aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.automatic_failover_enabled
      && aws_elasticache_replication_group.this.num_cache_clusters == 2 && aws_elasticache_replication_group.this.security_group_ids == toset(["sg-cache"])
    && aws_elasticache_subnet_group.this.subnet_ids == toset(var.subnet_ids))
    error_message = "the cache must fail over to a replica in another zone"
  }
  assert {
    condition     = toset(aws_efs_mount_target.models[*].subnet_id) == toset(var.subnet_ids) && alltrue([for target in aws_efs_mount_target.models : target.security_groups == toset(["sg-files"])])
    error_message = "the file system must be mountable in every zone"
  }
}

# Requirement 8.5
run "a_restored_database_gets_the_fabrics_subnets_security_group_and_parameter_group" {
  command = plan

  assert {
    condition = output.database_settings == {
      DBParameterGroupName = aws_db_parameter_group.this.name
      DBSubnetGroupName    = aws_db_subnet_group.this.name
      VpcSecurityGroupIds  = jsonencode(["sg-database"])
    }
    error_message = "without these settings, AWS Backup restores with the default parameter group"
  }
}

run "no_final_snapshot_has_a_fixed_name_that_the_second_one_would_collide_with" {
  command = plan

  assert {
    condition     = aws_db_instance.this.skip_final_snapshot && aws_elasticache_replication_group.this.final_snapshot_identifier == null
    error_message = "a final snapshot with a fixed name can be made only once"
  }
}

run "the_cache_changes_its_version_only_by_a_plan" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.auto_minor_version_upgrade == "false"
    error_message = "after an automatic upgrade, the next plan would replace the cache"
  }
}

# Requirement 9.4
run "slow_statements_are_logged_without_the_users_texts" {
  command = plan

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "log_parameter_max_length=0")
    error_message = "the parameters of a slow statement are chats and documents"
  }
}

# Requirement 9.5
run "every_store_is_encrypted_at_rest_with_the_data_key" {
  command = plan

  assert {
    condition = (aws_db_instance.this.storage_encrypted && aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true" && aws_efs_file_system.models.encrypted
      && toset([aws_db_instance.this.kms_key_id, aws_db_instance.this.performance_insights_kms_key_id, aws_db_instance.this.master_user_secret_kms_key_id,
    aws_elasticache_replication_group.this.kms_key_id, aws_efs_file_system.models.kms_key_id]) == toset([output.key_arns.data]))
    error_message = "database, cache and model files must be encrypted by the customer managed key"
  }
  assert {
    condition = [for rule in aws_s3_bucket_server_side_encryption_configuration.uploads.rule : one([
      for default in rule.apply_server_side_encryption_by_default : "${default.sse_algorithm} ${default.kms_master_key_id}"])
    ] == ["aws:kms ${output.key_arns.data}"] && aws_s3_bucket_server_side_encryption_configuration.uploads.bucket == "uploads"
    error_message = "uploads must be encrypted by the customer managed key"
  }
  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : secret.kms_key_id == output.key_arns.data])
    error_message = "secrets must be encrypted by the customer managed key"
  }
  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.database), [aws_cloudwatch_log_group.cache_slow]) : group.kms_key_id == output.key_arns.logs])
    error_message = "the stores' logs must be encrypted by the logs' key"
  }
  assert {
    condition     = alltrue([for key in [aws_kms_key.compute, aws_kms_key.data, aws_kms_key.logs] : key.enable_key_rotation])
    error_message = "keys must rotate"
  }
}

# Requirement 9.5
run "every_store_refuses_plain_text_in_transit" {
  command = plan

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1") && aws_db_instance.this.parameter_group_name == aws_db_parameter_group.this.name
    error_message = "the database must refuse clients without TLS"
  }
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "the cache must refuse clients without TLS"
  }
  assert {
    # For each policy: what is refused without TLS.
    condition = alltrue([for document, wanted in {
      files   = { statements = data.aws_iam_policy_document.models.statement, resources = ["arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1"], actions = ["*"] }
      logs    = { statements = data.aws_iam_policy_document.logs.statement, resources = ["arn:aws:s3:::logs", "arn:aws:s3:::logs/*"], actions = ["s3:*"] }
      uploads = { statements = data.aws_iam_policy_document.uploads.statement, resources = ["arn:aws:s3:::uploads", "arn:aws:s3:::uploads/*"], actions = ["s3:*"] }
      } : anytrue([for statement in wanted.statements : statement.effect == "Deny" && statement.actions == toset(wanted.actions) && statement.resources == toset(wanted.resources)
        && one(statement.principals[*].identifiers) == toset(["*"])
    && [for condition in statement.condition : "${condition.test} ${condition.variable} ${join(",", condition.values)}"] == ["Bool aws:SecureTransport false"]])])
    error_message = "files and buckets must deny all access without TLS"
  }
  assert {
    condition     = aws_efs_file_system_policy.models.file_system_id == "fs-1" && aws_s3_bucket_policy.logs.bucket == "logs" && aws_s3_bucket_policy.uploads.bucket == "uploads"
    error_message = "the policies must be attached"
  }
}

run "buckets_are_private_versioned_and_belong_to_one_owner" {
  command = plan

  assert {
    condition = alltrue([for block in [aws_s3_bucket_public_access_block.logs, aws_s3_bucket_public_access_block.uploads] :
    block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "no bucket may ever be public"
  }
  assert {
    condition = alltrue([for versioning in [aws_s3_bucket_versioning.logs, aws_s3_bucket_versioning.uploads] : versioning.versioning_configuration[0].status == "Enabled"]) && alltrue([
    for controls in [aws_s3_bucket_ownership_controls.logs, aws_s3_bucket_ownership_controls.uploads] : controls.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "overwritten objects must be recoverable, and ACLs must be disabled"
  }
  assert {
    condition     = aws_s3_bucket_logging.uploads.target_bucket == "logs" && aws_s3_bucket_lifecycle_configuration.logs.rule[0].expiration[0].days == 90
    error_message = "access to uploads must be logged, and logs must expire"
  }
}

# Requirement 7.4, 8.4
run "all_instances_share_one_model_file_system_with_its_own_user" {
  command = plan

  assert {
    condition     = aws_efs_file_system.models.throughput_mode == "elastic" && contains(aws_efs_file_system.models.lifecycle_policy[*].transition_to_ia, "AFTER_30_DAYS")
    error_message = "throughput must suit many instances that boot simultaneously, and models that are not loaded must move to the cheaper class"
  }
  assert {
    condition     = aws_efs_access_point.models.posix_user[0].uid == 1150 && aws_efs_access_point.models.root_directory[0].path == "/models" && output.endpoints.files.access_point_id == "fsap-1"
    error_message = "instances must share one directory and one user"
  }
  assert {
    condition     = anytrue([for statement in data.aws_iam_policy_document.models.statement : statement.effect == "Deny" && statement.actions == toset(["elasticfilesystem:ClientRootAccess"]) && length(statement.condition) == 0])
    error_message = "root access to the models must be denied"
  }
  assert {
    condition = anytrue([for statement in data.aws_iam_policy_document.models.statement : statement.effect == "Deny" && contains(statement.actions, "elasticfilesystem:ClientMount")
    && [for condition in statement.condition : "${condition.test} ${join(",", condition.values)}"] == ["StringNotEquals ${aws_efs_access_point.models.arn}"]])
    error_message = "mounts without the access point must be denied"
  }
}

# Requirement 9.4
run "secrets_are_created_empty_and_no_output_contains_a_secret" {
  command = plan

  assert {
    condition     = tomap({ for key, secret in aws_secretsmanager_secret.this : key => secret.name }) == var.secret_names
    error_message = "every secret of the contract must exist under its name"
  }
  assert {
    condition     = coalesce(aws_db_instance.this.manage_master_user_password, false) && aws_db_instance.this.password == null && aws_elasticache_replication_group.this.auth_token == null
    error_message = "passwords and tokens must never be in the state"
  }
  assert {
    condition     = toset(keys(output.endpoints.database)) == toset(["host", "master_secret_arn", "name", "port"]) && toset(keys(output.endpoints.cache)) == toset(["host", "port"])
    error_message = "endpoints must contain addresses, never credentials"
  }
}

# Requirement 9.4
run "key_and_bucket_policies_name_their_principals" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/boundary"
  }
  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.compute_key.statement : toset(one([
      for condition in statement.condition : condition.values if condition.test == "ArnEquals" && condition.variable == "aws:PrincipalArn"
      ])) == toset([
      "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
      "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot",
    ])])
    error_message = "the policy of the volumes' key must allow only the services that launch instances"
  }
  assert {
    condition     = length(data.aws_iam_policy_document.compute_key.statement) == 2 && length(data.aws_iam_policy_document.data_key.statement) == 0
    error_message = "the data key must be usable only by identities of this account"
  }
  assert {
    # A `*` principal allows everyone unless conditions restrict it.
    condition = alltrue([for statement in concat(data.aws_iam_policy_document.compute_key.statement, data.aws_iam_policy_document.logs_key.statement) :
      contains([for condition in statement.condition : condition.variable], "aws:PrincipalArn") && contains([for condition in statement.condition : condition.variable], "kms:CallerAccount")
    if contains(flatten(statement.principals[*].identifiers), "*")])
    error_message = "a key statement with a `*` principal must be restricted to roles of this account"
  }
  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.logs.statement : statement.actions == toset(["s3:PutObject"]) && length(statement.condition) >= 1 if statement.effect != "Deny"])
    error_message = "services may only write access logs, and only for resources of this account"
  }
  assert {
    condition = (aws_iam_role.database_monitoring.permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    && aws_iam_role_policy_attachment.database_monitoring.policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole")
    error_message = "the monitoring role must have the boundary and AWS's own policy"
  }
}

# Requirement 8.5
run "all_stores_are_backed_up_and_the_account_of_a_copy_vault_can_read_the_copies" {
  command = plan

  variables {
    settings = merge(var.settings, { backup_copy_vault_arn = "arn:aws:backup:eu-west-1:210987654321:backup-vault:copies" })
  }
  assert {
    condition     = toset(values(output.backup_resource_arns)) == toset([aws_db_instance.this.arn, "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-1", "arn:aws:s3:::uploads"])
    error_message = "database, model files and uploads must be backed up"
  }
  assert {
    condition     = aws_s3_bucket_notification.uploads.eventbridge && aws_s3_bucket_versioning.uploads.versioning_configuration[0].status == "Enabled"
    error_message = "AWS Backup needs a bucket's versions and events"
  }
  assert {
    condition = (toset(flatten([for statement in data.aws_iam_policy_document.data_key.statement : flatten(statement.principals[*].identifiers)])) == toset(["arn:aws:iam::210987654321:root"])
      && alltrue([for statement in data.aws_iam_policy_document.data_key.statement : [for condition in statement.condition : condition.variable] == ["kms:GrantIsForAWSResource"]
    if contains(statement.actions, "kms:CreateGrant")]))
    error_message = "the account of the copies must be able to read them, and to create grants for AWS services only"
  }
}

# Requirement 7.3
run "the_database_storage_is_gp3_and_grows_up_to_its_limit" {
  command = plan

  assert {
    condition     = aws_db_instance.this.storage_type == "gp3" && aws_db_instance.this.allocated_storage == 100 && aws_db_instance.this.max_allocated_storage == 1000
    error_message = "storage must start small and have a limit"
  }
}

# Requirement 8.4
run "stores_refuse_deletion_while_protection_is_on" {
  command = plan

  assert {
    condition     = aws_db_instance.this.deletion_protection && !aws_db_instance.this.delete_automated_backups
    error_message = "the database must refuse deletion and keep its automated backups"
  }
  assert {
    condition     = !aws_s3_bucket.uploads.force_destroy && !aws_s3_bucket.logs.force_destroy && terraform_data.deletion_protection.input
    error_message = "buckets with objects and Terraform itself must refuse deletion"
  }
  assert {
    condition = (alltrue([for secret in aws_secretsmanager_secret.this : secret.recovery_window_in_days == 30])
    && alltrue([for key in [aws_kms_key.compute, aws_kms_key.data, aws_kms_key.logs] : key.deletion_window_in_days == 30]))
    error_message = "secrets and keys must be recoverable for 30 days"
  }
}

run "everything_can_be_destroyed_and_recreated_while_protection_is_off" {
  command = plan

  variables {
    settings = merge(var.settings, { deletion_protection = false })
  }
  assert {
    condition = (!aws_db_instance.this.deletion_protection && aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.delete_automated_backups
    && aws_elasticache_replication_group.this.final_snapshot_identifier == null)
    error_message = "a destroy must not fail on the database or leave a snapshot"
  }
  assert {
    condition     = aws_s3_bucket.uploads.force_destroy && aws_s3_bucket.logs.force_destroy && !terraform_data.deletion_protection.input
    error_message = "a destroy must empty the buckets"
  }
  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : secret.recovery_window_in_days == 0])
    error_message = "a secret with a recovery window would block its name"
  }
}

run "a_retention_that_cloudwatch_logs_does_not_support_is_refused" {
  command = plan

  variables {
    access_log_days = 100
  }
  expect_failures = [var.access_log_days]
}
