# staging: like prod but smaller, so that a release is tested under the same conditions.
environment = "staging"
region      = "us-east-1"

edge = {
  domain = { name = "chat.staging.example.org", zone = "staging.example.org" } # replace with your own
}

network = {
  cidr  = "10.50.0.0/16"
  zones = ["us-east-1a", "us-east-1b", "us-east-1c"] # named, so that an unavailable zone cannot shift the subnets; append new zones
}

spot_enabled = true

models = ["gemma3:4b", "nomic-embed-text"] # the second embeds uploaded documents; `make models ENV=staging PUBLISH=default` publishes both from your Ollama

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
  emails = ["ops-staging@example.org"] # replace with your own
}
