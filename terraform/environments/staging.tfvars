# staging: prod's shape at a smaller size, so that a release is tried on what it will meet.
environment = "staging"
region      = "us-east-1"

edge = {
  domain = { name = "chat.staging.example.org", zone = "staging.example.org" } # set your own
}

network = {
  cidr  = "10.50.0.0/16"
  zones = ["us-east-1a", "us-east-1b", "us-east-1c"] # named, so that a zone that is out cannot shift the subnets; append new ones
}

spot_enabled = true

models = ["gemma3:4b", "nomic-embed-text"] # the second for uploaded documents; what `make models ENV=staging PUBLISH=default` publishes from your Ollama

fleets = {
  interactive = {
    instance_types  = ["g5.2xlarge", "g6.2xlarge"]
    min_size        = 2
    max_size        = 4
    spot_percentage = 50
  }
}

data = {
  database_instance_class = "db.r6g.large"
  deletion_protection     = true
}

alarms = {
  emails = ["ops-staging@example.org"] # set your own
}
