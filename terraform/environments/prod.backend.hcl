# The state of prod: its own object in the account's state bucket (contract: state.bucket; set `bucket` here to use another).
key    = "prod/terraform.tfstate"
region = "us-east-1"
