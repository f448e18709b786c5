# Base values of the network; each test in this folder changes one of them.

cidr                    = "10.40.0.0/16"
client_cidrs            = ["0.0.0.0/0"]
flow_log_group          = "/test/flow"
flow_log_retention_days = 90
kms_key_arn             = "arn:aws:kms:us-east-1:123456789012:key/logs"
name                    = "test"
nat_per_zone            = true
region                  = "us-east-1"
ssh_cidrs               = []
zone_count              = 3
zones                   = []
