# ENV=local: the production fabric on the embedded AWS, on this machine.
environment = "local"
region      = "us-east-1"

edge = {
  domain = { name = "chat.ollama-gpu.test", zone = "ollama-gpu.test" } # the embedded account owns this zone
}

# Spot is on, so that the batch fleet exists and is tested too.
spot_enabled = true

fleets = {
  interactive = {
    instance_types = ["g5.xlarge", "g4dn.xlarge", "g6.xlarge"]
    min_size       = 2
    max_size       = 4
  }
  batch = {
    instance_types = ["g4dn.xlarge", "g5.xlarge"]
    min_size       = 0
    max_size       = 2
    routing        = { header_values = ["batch"] }
  }
}

# Rollouts bake briefly here; production watches them for 15 minutes.
rollout = {
  bake_seconds   = 10
  warmup_seconds = 5
}

data = {
  deletion_protection = false # `make destroy ENV=local` is part of a trial
}

alarms = {
  emails             = ["administrator@ollama-gpu.test"]
  monthly_budget_usd = 100
}
