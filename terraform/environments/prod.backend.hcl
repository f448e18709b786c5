# State of prod: one object in the account's state bucket (contract: state.bucket). Set `bucket` here to use another one.
key    = "prod/terraform.tfstate"
region = "us-east-1"
