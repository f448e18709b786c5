# The state of staging: its own object in the account's state bucket (contract: state.bucket; set `bucket` here to use another).
key    = "staging/terraform.tfstate"
region = "us-east-1"
