# The state of local: its own object in the account's state bucket (contract: state.bucket; set `bucket` here to use another).
key    = "local/terraform.tfstate"
region = "us-east-1"
