# Permissions of the temporary instance on which `bake-ami.yml` builds the machine image: Session Manager access, and reading a
# release and its models. The image itself is created with the credentials of the person who runs the playbook.

data "aws_iam_policy_document" "image_builder_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "image_builder" {
  statement {
    sid     = "ReadReleasesAndModels"
    actions = ["s3:GetObject"]
    # The first folder of each path in the contract. This excludes the environments' records, which are in other folders.
    resources = [for layout in [local.contract.artifacts.collection, local.contract.artifacts.models] :
    "${aws_s3_bucket.artifacts.arn}/${split("/", layout)[0]}/*"]
  }

  statement {
    sid       = "FindThem" # without it, S3 returns 403 for a missing object, and the playbook cannot report that it is missing
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.artifacts.arn]
  }
}

resource "aws_iam_role" "image_builder" {
  # Roles are global in an account. The region is part of the name so that a second region can be bootstrapped in the same
  # account.
  name                 = "${local.contract.project}-image-builder-${var.region}"
  description          = "Instances on which the machine image is built"
  assume_role_policy   = data.aws_iam_policy_document.image_builder_trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "image_builder" {
  name   = "artifacts"
  role   = aws_iam_role.image_builder.id
  policy = data.aws_iam_policy_document.image_builder.json
}

# AWS's policy for Session Manager also allows reading every SSM parameter. The project stores no secret in a parameter.
resource "aws_iam_role_policy_attachment" "image_builder_session" {
  role       = aws_iam_role.image_builder.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "image_builder" {
  name = aws_iam_role.image_builder.name
  role = aws_iam_role.image_builder.name
}
