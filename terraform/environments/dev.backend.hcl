# State of dev: one object in the account's state bucket (contract: state.bucket). Set `bucket` here to use another one.
key    = "dev/terraform.tfstate"
region = "us-east-1"
