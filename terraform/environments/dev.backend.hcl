# The state of dev: its own object in the account's state bucket (contract: state.bucket; set `bucket` here to use another).
key    = "dev/terraform.tfstate"
region = "us-east-1"
