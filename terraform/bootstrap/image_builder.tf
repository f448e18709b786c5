# What the rented instance may do on which `bake-ami.yml` builds the machine image: be reached by Session Manager, and fetch
# a release and its models. The image itself is made by whoever runs the play.

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
    # First folder of the contract's layout: not the environments' records, which lie beside them.
    resources = [for layout in [local.contract.artifacts.collection, local.contract.artifacts.models] :
    "${aws_s3_bucket.artifacts.arn}/${split("/", layout)[0]}/*"]
  }

  statement {
    sid       = "FindThem" # else S3 answers 403 for what is not there, and the play cannot say so
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.artifacts.arn]
  }
}

resource "aws_iam_role" "image_builder" {
  # The region is in the name because roles are the account's, and a second region is bootstrapped beside the first.
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

# AWS's policy for Session Manager also reads every SSM parameter: the project keeps no secret in one.
resource "aws_iam_role_policy_attachment" "image_builder_session" {
  role       = aws_iam_role.image_builder.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "image_builder" {
  name = aws_iam_role.image_builder.name
  role = aws_iam_role.image_builder.name
}
