data "aws_ami" "this" {
  # The image can belong to this account, to a vendor, or to an account that shares it, so only the ID selects it.
  include_deprecated = true # AWS hides a public image two years after its creation, but it still launches
  filter {
    name   = "image-id"
    values = [var.image_id]
  }

  lifecycle {
    postcondition {
      condition     = self.architecture == "x86_64"
      error_message = "Image ${var.image_id} is ${self.architecture}, but the GPU instances are x86_64. Bake an image for x86_64, or set another image_id."
    }
    postcondition {
      condition = alltrue([for device in self.block_device_mappings :
      tonumber(try(device.ebs["volume_size"], 0)) <= var.settings.root_volume.size_gib if device.device_name == self.root_device_name])
      error_message = "Image ${var.image_id} needs a root volume larger than ${var.settings.root_volume.size_gib} GiB. Raise root_volume.size_gib of the fleet ${var.key}."
    }
  }
}

locals {
  # The Auto Scaling group tags only instances. These tags also reach volumes and network interfaces.
  instance_tags = merge(var.tags, {
    Name                      = var.name
    (var.contract.tags.fleet) = var.key
  })
}

resource "aws_launch_template" "this" {
  #checkov:skip=CKV_AWS_341:Open WebUI runs in a container and uses the instance role for S3, so its request to the metadata service needs a second hop
  name        = var.name
  description = "Instances of the fleet ${var.key}"
  # The driver's instance refresh names a version by number. Nothing uses the default version, so it stays the same.
  update_default_version = false

  ebs_optimized = true
  image_id      = var.image_id
  user_data     = base64encode(local.user_data)

  block_device_mappings {
    device_name = data.aws_ami.this.root_device_name

    ebs {
      delete_on_termination = true
      encrypted             = true
      iops                  = var.settings.root_volume.iops
      kms_key_id            = var.key_arns.compute
      throughput            = var.settings.root_volume.throughput_mibs
      volume_size           = var.settings.root_volume.size_gib
      volume_type           = "gp3"
    }
  }

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 2
    http_tokens                 = "required"
    instance_metadata_tags      = "enabled" # an instance can read its fleet and release without an API permission
  }

  monitoring {
    enabled = true # one-minute instead of five-minute metrics; otherwise CPU scaling reacts five minutes late
  }

  network_interfaces {
    associate_public_ip_address = false # even if a subnet of an existing VPC would assign one
    delete_on_termination       = true
    device_index                = 0
    security_groups             = [var.security_group_id]
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "network-interface", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = local.instance_tags
    }
  }
}
