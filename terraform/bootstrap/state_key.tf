# A state names every resource and address of an environment: reading it takes this key as well as the bucket, so
# "may read S3" is not enough. Whoever deploys needs kms:Decrypt and kms:GenerateDataKey on it.

data "aws_iam_policy_document" "state_key" {
  #checkov:skip=CKV_AWS_109: a key's policy without its account's administration makes a key that nobody can ever manage again
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: in a key's policy `*` means this key; no other resource can be named
  statement {
    # Hands the decision to IAM policies: nobody may use the key by this statement alone.
    sid       = "AccountAdministration"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "state" {
  description             = "Terraform states of ${local.contract.project}"
  deletion_window_in_days = var.force_destroy ? 7 : 30
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.state_key.json
}

resource "aws_kms_alias" "state" {
  name          = "alias/${local.contract.project}-state"
  target_key_id = aws_kms_key.state.key_id
}
