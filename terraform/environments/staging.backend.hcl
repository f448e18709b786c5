# State of staging: one object in the account's state bucket (contract: state.bucket). Set `bucket` here to use another one.
key    = "staging/terraform.tfstate"
region = "us-east-1"
