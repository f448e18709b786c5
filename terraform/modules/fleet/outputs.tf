output "group_arn" {
  description = "ARN of the Auto Scaling group."
  value       = aws_autoscaling_group.this.arn
}

output "group_name" {
  description = "Name of the Auto Scaling group."
  value       = aws_autoscaling_group.this.name
}

output "instance_types" {
  description = "For each zone, the fleet's instance types that the zone offers, in order of preference."
  value       = local.types_by_zone
}

output "launch_template" {
  description = "ID, name, and latest version of the launch template. A rollout refreshes the group to latest_version."
  value = {
    id             = aws_launch_template.this.id
    latest_version = aws_launch_template.this.latest_version
    name           = aws_launch_template.this.name
  }
}

output "role_arn" {
  description = "ARN of the instance role."
  value       = aws_iam_role.this.arn
}
