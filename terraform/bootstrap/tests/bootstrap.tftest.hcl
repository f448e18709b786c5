# Plans only, without AWS: no credentials are needed.
mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }
}

override_resource {
  target          = aws_s3_bucket.artifacts
  override_during = plan
  values          = { arn = "arn:aws:s3:::artifacts" }
}

override_resource {
  target          = aws_s3_bucket.state
  override_during = plan
  values          = { arn = "arn:aws:s3:::state" }
}

override_resource {
  target          = aws_kms_key.state
  override_during = plan
  values          = { arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
}

variables {
  region = "eu-central-1"
}

run "bucket_names_match_the_contract" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.bucket == "ollama-gpu-state-111122223333-eu-central-1"
    error_message = "The driver expects the states in ollama-gpu-state-<account>-<region>."
  }
  assert {
    condition     = aws_s3_bucket.artifacts.bucket == "ollama-gpu-artifacts-111122223333-eu-central-1"
    error_message = "Instances expect releases in ollama-gpu-artifacts-<account>-<region>."
  }
}

run "both_buckets_are_versioned_private_and_refuse_plain_http" {
  command = plan

  assert {
    condition = alltrue([for versioning in [aws_s3_bucket_versioning.state, aws_s3_bucket_versioning.artifacts] :
    versioning.versioning_configuration[0].status == "Enabled"])
    error_message = "Both buckets must keep versions."
  }
  assert {
    condition = alltrue([for block in [aws_s3_bucket_public_access_block.state, aws_s3_bucket_public_access_block.artifacts] :
    block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "Both buckets must block public access in all four ways."
  }
  assert {
    condition = alltrue([for controls in [aws_s3_bucket_ownership_controls.state, aws_s3_bucket_ownership_controls.artifacts] :
    controls.rule[0].object_ownership == "BucketOwnerEnforced"])
    error_message = "The buckets' owner must own all objects."
  }
  assert {
    condition = alltrue([for policy in data.aws_iam_policy_document.only_tls :
      policy.statement[0].effect == "Deny" && contains(policy.statement[0].actions, "s3:*") && anytrue([
        for condition in policy.statement[0].condition : condition.variable == "aws:SecureTransport" && condition.values == tolist(["false"])
    ])])
    error_message = "Both buckets must refuse requests without TLS."
  }
  assert {
    condition     = toset(data.aws_iam_policy_document.only_tls["state"].statement[0].resources) == toset(["arn:aws:s3:::state", "arn:aws:s3:::state/*"])
    error_message = "The refusal must cover the bucket and every object in it."
  }
}

run "states_are_encrypted_with_their_own_rotating_key" {
  command = plan

  assert {
    condition     = aws_kms_key.state.enable_key_rotation && aws_kms_key.state.deletion_window_in_days == 30
    error_message = "The key must rotate, and its deletion must wait 30 days."
  }
  assert {
    condition = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" &&
    rule.apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.state.arn])
    error_message = "The state bucket must encrypt with its own key."
  }
}

run "old_states_are_kept_ninety_days_and_at_least_the_newest_fifty" {
  command = plan

  assert {
    condition = (
      aws_s3_bucket_lifecycle_configuration.state.rule[0].noncurrent_version_expiration[0].noncurrent_days == 90 &&
      aws_s3_bucket_lifecycle_configuration.state.rule[0].noncurrent_version_expiration[0].newer_noncurrent_versions == 50
    )
    error_message = "A corrupt state must be recoverable after 90 days and after 50 deployments."
  }
}

run "buckets_and_key_refuse_to_be_destroyed_by_default" {
  command = plan

  assert {
    condition     = terraform_data.deletion_protection.input && !aws_s3_bucket.state.force_destroy && !aws_s3_bucket.artifacts.force_destroy
    error_message = "Without force_destroy, no resource with a state may be destroyed."
  }
}

run "force_destroy_removes_the_protection_of_buckets_and_key" {
  command = plan

  variables {
    force_destroy = true
  }

  assert {
    condition     = !terraform_data.deletion_protection.input && aws_s3_bucket.state.force_destroy && aws_s3_bucket.artifacts.force_destroy && aws_kms_key.state.deletion_window_in_days == 7
    error_message = "force_destroy must apply to both buckets, the guard and the key."
  }
}

run "the_image_builder_reads_releases_and_models_and_nothing_else" {
  command = plan

  assert {
    condition     = toset(data.aws_iam_policy_document.image_builder.statement[0].resources) == toset(["arn:aws:s3:::artifacts/collections/*", "arn:aws:s3:::artifacts/models/*"])
    error_message = "The builder may read only the folders of collections and models."
  }
  assert {
    condition     = toset(flatten([for statement in data.aws_iam_policy_document.image_builder.statement : statement.actions])) == toset(["s3:GetObject", "s3:ListBucket"])
    error_message = "The builder must not write."
  }
  assert {
    condition     = aws_iam_role.image_builder.name == "ollama-gpu-image-builder-eu-central-1"
    error_message = "The role name needs the region, or it conflicts when a second region is bootstrapped."
  }
}

run "the_permissions_boundary_applies_to_the_image_builder" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.image_builder.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "The boundary must apply to the role."
  }
}

run "a_boundary_that_is_not_a_policy_arn_is_refused" {
  command = plan

  variables {
    permissions_boundary_arn = "boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "an_invalid_region_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}
