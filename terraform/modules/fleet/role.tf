data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.current.dns_suffix}"]
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = "${var.name}-instance"
  description          = "What an instance of the fleet ${var.key} may do"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_instance_profile" "this" {
  name = "${var.name}-instance"
  role = aws_iam_role.this.name
}

resource "aws_iam_role_policy" "this" {
  for_each = {
    lifecycle = data.aws_iam_policy_document.lifecycle.json
    release   = data.aws_iam_policy_document.release.json
    session   = data.aws_iam_policy_document.session.json
    storage   = data.aws_iam_policy_document.storage.json
    telemetry = data.aws_iam_policy_document.telemetry.json
  }

  name   = each.key
  role   = aws_iam_role.this.id
  policy = each.value
}
