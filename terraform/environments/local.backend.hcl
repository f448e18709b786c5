# State of local: one object in the account's state bucket (contract: state.bucket). Set `bucket` here to use another one.
key    = "local/terraform.tfstate"
region = "us-east-1"
