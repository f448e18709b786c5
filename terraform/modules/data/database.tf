# PostgreSQL for Open WebUI: users, chats, and, with pgvector, the embeddings of documents. The first instance that boots runs
# `create extension vector` and creates Open WebUI's own role; for this it reads the master's secret. Later instances do not.

locals {
  database_id   = "${var.name}-database"
  postgres_line = "16"
}

resource "aws_db_subnet_group" "this" {
  name        = local.database_id
  description = "Data subnets of ${var.environment}"
  subnet_ids  = var.subnet_ids
}

# max_connections keeps RDS's formula, which follows the memory of the instance class; a fixed number would exceed the memory of a
# small class. database_classes.yaml of the root module has the result by class. Preflight compares it with what the instances open.
resource "aws_db_parameter_group" "this" {
  name        = "${local.database_id}-postgres${local.postgres_line}"
  description = "Only TLS, and slow or structural statements logged"
  family      = "postgres${local.postgres_line}"

  parameter {
    # RDS itself returns pending-reboot for a value equal to its default. "immediate" would show a difference in every plan.
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "pending-reboot"
  }
  parameter {
    name  = "log_connections"
    value = "1"
  }
  parameter {
    name  = "log_disconnections"
    value = "1"
  }
  parameter {
    name  = "log_lock_waits"
    value = "1"
  }
  parameter {
    name  = "log_min_duration_statement"
    value = "1000" # milliseconds
  }
  parameter {
    # A slow statement is logged with its parameters by default, which are chats and documents. 0: without them.
    name  = "log_parameter_max_length"
    value = "0"
  }
  parameter {
    # Trap: this also logs `create role ... password '...'`. To set a password, send PostgreSQL its SCRAM verifier.
    name  = "log_statement"
    value = "ddl"
  }

  lifecycle {
    create_before_destroy = true # a new major version's group must exist before the instance leaves the old group
  }
}

resource "aws_db_instance" "this" {
  identifier     = local.database_id
  db_name        = "openwebui"
  engine         = "postgres"
  engine_version = local.postgres_line # the major version only: minor versions are installed in the maintenance window
  instance_class = var.settings.database_instance_class
  port           = var.database_port

  username                            = "ollama_gpu_admin"
  manage_master_user_password         = true # created, stored, and rotated by AWS; it never passes through Terraform's state
  master_user_secret_kms_key_id       = aws_kms_key.data.arn
  iam_database_authentication_enabled = true # administrators use a personal token instead of the master's password

  allocated_storage     = var.settings.database_storage_gib
  max_allocated_storage = var.settings.database_max_storage_gib
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.data.arn

  multi_az               = true
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [var.security_group_ids.database]
  publicly_accessible    = false
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  parameter_group_name       = aws_db_parameter_group.this.name
  auto_minor_version_upgrade = true
  apply_immediately          = true # a reviewed plan applies now; otherwise the next plan would show the same change again
  maintenance_window         = "sun:05:00-sun:06:00"

  backup_window            = "03:00-04:00"
  backup_retention_period  = var.settings.backup_retention_days
  copy_tags_to_snapshot    = true
  delete_automated_backups = !var.settings.deletion_protection

  deletion_protection = var.settings.deletion_protection
  skip_final_snapshot = true # while it is protected, RDS refuses its deletion; without protection, its data is not worth keeping

  enabled_cloudwatch_logs_exports       = keys(aws_cloudwatch_log_group.database)
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.database_monitoring.arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = aws_kms_key.data.arn
  performance_insights_retention_period = 7 # days; a longer period is charged per vCPU

  lifecycle {
    # AWS Backup's continuous rule takes over both and writes its own values. The values here apply only until its first run.
    ignore_changes = [backup_retention_period, backup_window]
  }

  depends_on = [aws_iam_role_policy_attachment.database_monitoring]
}

# Otherwise RDS creates these log groups at the first line, with unlimited retention and without the customer managed key. RDS
# dictates the names.
resource "aws_cloudwatch_log_group" "database" {
  #checkov:skip=CKV_AWS_338: kept as long as the access logs, which serve the same purpose; the data itself is in the backups
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${local.database_id}/${each.key}"
  kms_key_id        = aws_kms_key.logs.arn
  retention_in_days = var.access_log_days
}

data "aws_iam_policy_document" "database_monitoring_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:rds:${var.region}:${local.account_id}:db:${local.database_id}"]
    }
  }
}

resource "aws_iam_role" "database_monitoring" {
  name                 = "${local.database_id}-monitoring"
  description          = "Lets RDS write the enhanced monitoring of ${local.database_id}"
  assume_role_policy   = data.aws_iam_policy_document.database_monitoring_trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy_attachment" "database_monitoring" {
  role       = aws_iam_role.database_monitoring.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}
