# prod: 100 to 3000 concurrent users. On demand by default; spot is one variable away.
#
# Size: `make capacity ENV=prod USERS=3000` asks for 12 instances at 8 chats a GPU (251 streams of gemma3:4b, who think for 60 s between
# 200-token answers); 14 leave room for two lost ones. Open WebUI 0.12 needs 30 to 43 one-core processes for them (measured); a
# g5.12xlarge has 48 vCPUs. max_size is the hard cost limit.
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
    # 3000 users make about 1250 a minute at each of 14, page loads included: a lower target starts instances for idle GPUs
    scaling = { requests_per_target_per_minute = 1500 }
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
  emails               = ["ops@example.org"] # set your own
  database_connections = 2500                # 14 instances x 16 processes x 10 connections at most; db.r6g.xlarge takes 3600
}
