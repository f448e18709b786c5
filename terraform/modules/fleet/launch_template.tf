data "aws_ami" "this" {
  # An image of this account, of a vendor or shared by another account: the id alone says which.
  filter {
    name   = "image-id"
    values = [var.image_id]
  }

  lifecycle {
    postcondition {
      condition     = self.architecture == "x86_64"
      error_message = "Image ${var.image_id} is ${self.architecture}, the GPU instances are x86_64: bake for x86_64, or name another image_id."
    }
    postcondition {
      condition = alltrue([for device in self.block_device_mappings :
      tonumber(try(device.ebs["volume_size"], 0)) <= var.settings.root_volume.size_gib if device.device_name == self.root_device_name])
      error_message = "Image ${var.image_id} needs a root volume larger than ${var.settings.root_volume.size_gib} GiB: raise root_volume.size_gib of the fleet ${var.key}."
    }
  }
}

locals {
  # The Auto Scaling group adds its own tags; these reach what it does not: volumes and network interfaces.
  instance_tags = merge(var.tags, {
    Name                      = var.name
    (var.contract.tags.fleet) = var.key
  })
}

resource "aws_launch_template" "this" {
  #checkov:skip=CKV_AWS_341:Open WebUI runs in a container and takes the instance role for S3: its request needs a second hop
  name        = var.name
  description = "Instances of the fleet ${var.key}"
  # A version is named by number, by the driver's instance refresh: nothing reads the default, so it never moves.
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
    instance_metadata_tags      = "enabled" # an instance reads its fleet and release without an API permission
  }

  monitoring {
    enabled = true # one minute instead of five, or CPU scaling reacts five minutes late
  }

  network_interfaces {
    associate_public_ip_address = false # also where an existing VPC's subnet would give one
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
