# prod: 100 to 3000 concurrent users. On demand by default; spot is one variable away.
#
# Size: 3000 users who think for 60 s between 200-token answers hold about 440 streams and need 30 to 43 one-core processes of
# Open WebUI 0.12 (measured). A g5.12xlarge has four GPUs and 48 vCPUs; at 8 slots a GPU 14 of them hold 448 streams. max_size is the
# hard cost limit.
environment = "prod"
region      = "us-east-1"

edge = {
  domain = { name = "chat.example.org", zone = "example.org" } # set your own
}

network = {
  cidr  = "10.60.0.0/16"
  zones = ["us-east-1a", "us-east-1b", "us-east-1c"] # named, so that a zone that is out cannot shift the subnets; append new ones
}

models = ["gemma3:4b", "nomic-embed-text"] # the second for uploaded documents; what `make models ENV=prod PUBLISH=default` publishes from your Ollama

fleets = {
  interactive = {
    instance_types = ["g5.12xlarge", "g6.12xlarge"]
    min_size       = 2
    max_size       = 14
    schedule = {
      office_opens  = { min_size = 4, recurrence = "0 7 * * MON-FRI", time_zone = "Etc/UTC" }
      office_closes = { min_size = 2, recurrence = "0 19 * * MON-FRI", time_zone = "Etc/UTC" }
    }
  }
}

data = {
  database_instance_class = "db.r6g.xlarge"
  deletion_protection     = true
}

alarms = {
  emails = ["ops@example.org"] # set your own
}
