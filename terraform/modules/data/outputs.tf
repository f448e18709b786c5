output "backup_resource_arns" {
  description = "ARNs of the resources that AWS Backup protects: the database, the file system of the models, and the uploads."
  value = {
    database = aws_db_instance.this.arn
    files    = aws_efs_file_system.models.arn
    uploads  = aws_s3_bucket.uploads.arn
  }
}

output "database_settings" {
  description = "What AWS Backup must be told to restore the database into its subnets, security group, and parameter group, by the names of the restore metadata."
  value = {
    DBParameterGroupName = aws_db_parameter_group.this.name
    DBSubnetGroupName    = aws_db_subnet_group.this.name
    VpcSecurityGroupIds  = jsonencode([var.security_group_ids.database])
  }
}

output "endpoints" {
  description = "Endpoints of the stores for the instances. They go into an SSM parameter, so they contain no secret, only the ARN of one."
  value = {
    database = {
      host              = aws_db_instance.this.address
      port              = aws_db_instance.this.port
      name              = aws_db_instance.this.db_name
      master_secret_arn = aws_db_instance.this.master_user_secret[0].secret_arn
    }
    cache = {
      host = aws_elasticache_replication_group.this.primary_endpoint_address
      port = aws_elasticache_replication_group.this.port
    }
    uploads = {
      bucket = aws_s3_bucket.uploads.id
    }
    files = {
      file_system_id  = aws_efs_file_system.models.id
      access_point_id = aws_efs_access_point.models.id
    }
  }
}

output "files" {
  description = "File system and access point of the models. Available once an instance can mount the file system."
  value = {
    file_system_id  = aws_efs_file_system.models.id
    file_system_arn = aws_efs_file_system.models.arn
    access_point_id = aws_efs_access_point.models.id
  }
  depends_on = [aws_efs_file_system_policy.models, aws_efs_mount_target.models]
}

output "identifiers" {
  description = "Identifiers for alarms and dashboards. All except file_system_id are known before the first apply."
  value = {
    database_id                = local.database_id
    cache_replication_group_id = local.cache_id
    # ElastiCache names the nodes of a group this way. If they were read from the resource, a for_each over them would be unknown
    # in the first plan.
    cache_cluster_ids = [for number in range(1, var.settings.cache_replicas + 2) : format("%s-%03d", local.cache_id, number)]
    file_system_id    = aws_efs_file_system.models.id
  }
}

output "key_arns" {
  description = "ARNs of the customer managed keys: compute (volumes), data (stores, secrets, backups), logs (log groups, notifications)."
  value = {
    compute = aws_kms_key.compute.arn
    data    = aws_kms_key.data.arn
    logs    = aws_kms_key.logs.arn
  }
}

output "log_bucket" {
  description = "Name of the bucket for access logs. Available once the load balancer may write to it."
  value       = aws_s3_bucket.logs.id
  depends_on  = [aws_s3_bucket_policy.logs, aws_s3_bucket_server_side_encryption_configuration.logs]
}

output "secret_arns" {
  description = "ARN of each secret, by its key in the contract."
  value       = { for key, secret in aws_secretsmanager_secret.this : key => secret.arn }
}

output "uploads_bucket" {
  description = "Name and ARN of the bucket for user uploads. Available once its policy requires TLS and the right key."
  value = {
    name = aws_s3_bucket.uploads.id
    arn  = aws_s3_bucket.uploads.arn
  }
  depends_on = [aws_s3_bucket_policy.uploads, aws_s3_bucket_server_side_encryption_configuration.uploads]
}
