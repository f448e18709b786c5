# PostgreSQL for Open WebUI: users, chats and, with pgvector, the embeddings of documents. `create extension vector` and
# Open WebUI's own role are made by the first instance that boots, which reads the master's secret for it; later ones do not.

locals {
  database_id   = "${var.name}-database"
  postgres_line = "16"
}

resource "aws_db_subnet_group" "this" {
  name        = local.database_id
  description = "Data subnets of ${var.environment}"
  subnet_ids  = var.subnet_ids
}

# max_connections stays RDS's formula, memory / 9531392: about 3,400 on the default db.r6g.xlarge (32 GiB). Open WebUI takes
# up to 5 + 10 a process; 40 processes make 600, 1,200 while an instance refresh runs old and new side by side. The formula
# follows the instance class, where a fixed figure would outgrow a small one's memory.
resource "aws_db_parameter_group" "this" {
  name        = "${local.database_id}-postgres${local.postgres_line}"
  description = "Only TLS, and slow or structural statements logged"
  family      = "postgres${local.postgres_line}"

  parameter {
    # pending-reboot is what RDS itself answers for a value equal to its default: "immediate" would differ for ever.
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
    # Trap: this logs `create role ... password '...'` too. Whoever sets a password sends PostgreSQL its SCRAM verifier.
    name  = "log_statement"
    value = "ddl"
  }

  lifecycle {
    create_before_destroy = true # a new major version's group must exist before the instance leaves the old one
  }
}

resource "aws_db_instance" "this" {
  identifier     = local.database_id
  db_name        = "openwebui"
  engine         = "postgres"
  engine_version = local.postgres_line # the line, not a version: minor versions come in the maintenance window
  instance_class = var.settings.database_instance_class
  port           = var.database_port

  username                            = "ollama_gpu_admin"
  manage_master_user_password         = true # made, kept and rotated by AWS: it never passes through Terraform's state
  master_user_secret_kms_key_id       = aws_kms_key.data.arn
  iam_database_authentication_enabled = true # administrators come with a token of their own instead of the master's password

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
  apply_immediately          = true # a reviewed plan means now; waiting would leave the next plan with the same change
  maintenance_window         = "sun:05:00-sun:06:00"

  backup_window            = "03:00-04:00"
  backup_retention_period  = var.settings.backup_retention_days
  copy_tags_to_snapshot    = true
  delete_automated_backups = !var.settings.deletion_protection

  deletion_protection       = var.settings.deletion_protection
  skip_final_snapshot       = !var.settings.deletion_protection
  final_snapshot_identifier = "${local.database_id}-final" # stable, so that a restore knows where to look

  enabled_cloudwatch_logs_exports       = keys(aws_cloudwatch_log_group.database)
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.database_monitoring.arn
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = aws_kms_key.data.arn
  performance_insights_retention_period = 7 # days; a longer one is charged by the vCPU

  lifecycle {
    # AWS Backup's continuous rule takes both over and writes its own values: they are right only until its first run.
    ignore_changes = [backup_retention_period, backup_window]
  }

  depends_on = [aws_iam_role_policy_attachment.database_monitoring]
}

# RDS would make these by itself at the first line, kept for ever and without our key. It dictates their names.
resource "aws_cloudwatch_log_group" "database" {
  #checkov:skip=CKV_AWS_338: kept as long as the access logs, which answer the same questions; backups hold the data itself
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
