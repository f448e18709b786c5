# A state contains every resource and address of an environment. Reading it requires this key as well as the bucket, so permission
# to read S3 is not enough. The role that deploys needs kms:Decrypt and kms:GenerateDataKey on it.

data "aws_iam_policy_document" "state_key" {
  #checkov:skip=CKV_AWS_109: without a statement for the account's administration, the key could never be managed again
  #checkov:skip=CKV_AWS_111: same reason
  #checkov:skip=CKV_AWS_356: in a key policy, `*` means this key; no other resource is possible
  statement {
    # Delegates the decision to IAM policies. This statement alone lets no role use the key.
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
