# prod: 100 to 3000 concurrent users. On-demand by default. To use spot, set spot_enabled.
#
# Size: `make capacity ENV=prod USERS=3000` requires 12 instances at 8 chats per GPU (251 streams of gemma3:4b; users
# think for 60 s between 200-token answers). 14 instances leave room for losing two. Open WebUI 0.12 needs 30 to 43
# one-core processes for these users (measured); a g5.12xlarge has 48 vCPUs. max_size is the hard cost limit.
environment = "prod"
region      = "us-east-1"

edge = {
  domain = { name = "chat.example.org", zone = "example.org" } # replace with your own
}

network = {
  cidr  = "10.60.0.0/16"
  zones = ["us-east-1a", "us-east-1b", "us-east-1c"] # named, so that an unavailable zone cannot shift the subnets; append new zones
}

models = ["gemma3:4b", "nomic-embed-text"] # the second embeds uploaded documents; `make models ENV=prod PUBLISH=default` publishes both from your Ollama

fleets = {
  interactive = {
    instance_types = ["g5.12xlarge", "g6.12xlarge"]
    min_size       = 2
    max_size       = 14
    # 3000 users cause about 1250 requests per minute on each of 14 instances, including page loads. A lower target
    # starts instances with idle GPUs.
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
  emails = ["ops@example.org"] # replace with your own
}
