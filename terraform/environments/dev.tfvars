# dev: the smallest environment on AWS. Two small instances, one NAT gateway, no deletion protection.
environment = "dev"
region      = "us-east-1"

edge = {
  domain = { name = "chat.dev.example.org", zone = "dev.example.org" } # replace with your own
}

network = {
  cidr         = "10.40.0.0/16"
  nat_per_zone = false
  zone_count   = 2
}

models = ["gemma3:4b", "nomic-embed-text"] # the second embeds uploaded documents; `make models ENV=dev PUBLISH=default` publishes both from your Ollama

fleets = {
  interactive = {
    instance_types = ["g4dn.xlarge", "g6.xlarge"]
    min_size       = 2
    max_size       = 3
    root_volume    = { size_gib = 100, iops = 3000, throughput_mibs = 250 }
  }
}

data = {
  cache_node_type         = "cache.t4g.small"
  database_instance_class = "db.t4g.medium"
  database_storage_gib    = 20
  deletion_protection     = false
  restore_testing         = false
  backup_retention_days   = 7
}

alarms = {
  emails = ["ops-dev@example.org"] # replace with your own
}
