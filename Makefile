# The front door. Every verb makes what it needs first (`make setup`) and then calls `ollama-gpu VERB`.
#   ENV=name   the environment (local)        JSON=1  machine-readable output
#   YES=1      unattended                     LAB=off ENV=local: the fabric alone
ENV    ?= local
PYTHON ?= python3

OLLAMA_GPU = .venv/bin/ollama-gpu
READS      = doctor preflight plan outputs verify administrator env bootstrap releases
JSON_FLAG  = $(if $(filter-out 0,$(JSON)),--json)
YES_FLAGS  = $(if $(filter-out 0,$(YES)),--yes) $(if $(CONFIRM),--confirm $(CONFIRM))

.DEFAULT_GOAL := help
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the verbs
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo "Add ENV=local|dev|staging|prod, JSON=1, YES=1, CONFIRM=<env>, LAB=off where they apply."

setup: ## make .venv from the lock, and whatever else is missing
	@$(PYTHON) scripts/setup.py

doctor: ## is this machine fit to run it?
bootstrap: ## once per account and region: state and artifact buckets, image role
preflight: ## check what can be refused before money is spent
plan: ## what would a deploy change?
outputs: ## every identifier and address
verify: ## does it serve? chats, first token, GPUs, alarms
administrator: ## who signs in first, and the password
releases: ## what was deployed, and how it ended
env: ## exports for aws-cli, boto3 and Ansible: eval "$(make env)"
$(READS): setup
	@$(OLLAMA_GPU) $@ --env $(ENV) $(JSON_FLAG)

status: setup ## what is running: load, GPUs, boots, alarms (WATCH=10: again every 10 s)
	@$(OLLAMA_GPU) status --env $(ENV) $(JSON_FLAG) $(if $(WATCH),--watch --every $(WATCH))

logs: setup ## log lines (GROUP=boot|gateway|..., INSTANCE=<id>, SINCE=15m, FOLLOW=1)
	@$(OLLAMA_GPU) logs --env $(ENV) $(JSON_FLAG) $(if $(GROUP),--group $(GROUP)) $(if $(INSTANCE),--instance $(INSTANCE)) \
	  $(if $(SINCE),--since $(SINCE)) $(if $(filter-out 0,$(FOLLOW)),--follow)

events: setup ## what happened, with time and reason (SINCE=24h)
	@$(OLLAMA_GPU) events --env $(ENV) $(JSON_FLAG) $(if $(SINCE),--since $(SINCE))

sign-on: setup ## keep the secret of the OpenID client, read from standard input
	@$(OLLAMA_GPU) sign-on --env $(ENV)

deploy: setup ## provision and roll out
	@$(OLLAMA_GPU) deploy --env $(ENV) $(JSON_FLAG) $(YES_FLAGS) $(if $(filter off,$(LAB)),--no-lab)

destroy: setup ## remove an environment, data and all
	@$(OLLAMA_GPU) destroy --env $(ENV) $(JSON_FLAG) $(YES_FLAGS)

rollout: setup ## what instances run, and a rollout that goes on (DO=follow, DO=cancel)
	@$(OLLAMA_GPU) rollout $(or $(DO),status $(JSON_FLAG)) --env $(ENV)

rollback: setup ## go back to what served before, or to release TO
	@$(OLLAMA_GPU) rollback $(TO) --env $(ENV) $(JSON_FLAG) $(YES_FLAGS)

state: setup ## versions of the Terraform state (RESTORE=version: for corruption only)
	@$(OLLAMA_GPU) state $(if $(RESTORE),restore $(RESTORE) $(filter-out --yes,$(YES_FLAGS)),list $(JSON_FLAG)) --env $(ENV)

unlock: setup ## release the lock of a run that is dead, by its LOCK id
	@$(OLLAMA_GPU) unlock --env $(ENV) $(LOCK)

bake: setup ## make the machine image and publish it (FORCE=1: although its content is unchanged)
	@$(OLLAMA_GPU) bake --env $(ENV) $(JSON_FLAG) $(if $(filter-out 0,$(FORCE)),--force)

models: setup ## the models that instances serve (ADD=NAME, REMOVE=NAME, PIN=NAME[@DIGEST]; PUBLISH="NAME ..."|default: the whole set)
	@$(OLLAMA_GPU) models $(if $(ADD),add $(ADD),$(if $(REMOVE),remove $(REMOVE),$(if $(PIN),pin $(PIN),\
	  $(if $(PUBLISH),publish $(filter-out default,$(PUBLISH)),list $(JSON_FLAG))))) --env $(ENV)

backup: setup ## back up now (LIST=1: what there is to go back to; ONLY=part)
	@$(OLLAMA_GPU) backup $(if $(filter-out 0,$(LIST)),list,now $(foreach part,$(ONLY),--only $(part))) --env $(ENV) $(JSON_FLAG)

restore: setup ## bring back what a backup has (POINT=id of the list, ONLY="database uploads")
	@$(OLLAMA_GPU) restore --env $(ENV) $(if $(POINT),--point $(POINT)) $(foreach part,$(ONLY),--only $(part)) $(JSON_FLAG) $(YES_FLAGS)

drill: setup ## destroy the data for real, restore them, prove that they are back
	@$(OLLAMA_GPU) drill --env $(ENV) $(JSON_FLAG) $(YES_FLAGS)

local-down: setup ## end ENV=local: the embedded AWS and every container of the lab
	@$(OLLAMA_GPU) local-down

# Without ENV these three speak of prod: the lab's size answers no such question.
capacity: setup ## USERS=3000 to streams, slots, memory, instances, dollars (MODEL=, TYPE=)
simulate: setup ## a day of USERS=3000: first token, refusals, instances, cost (PICTURE=file.svg)
cost: setup ## what an environment costs a month, line by line
PLANNED   = $(OLLAMA_GPU) $@ --env $(if $(filter file,$(origin ENV)),prod,$(ENV)) $(JSON_FLAG)
USER_FLAG = $(if $(USERS),--users $(USERS)) $(if $(MODEL),--model $(MODEL)) $(if $(TYPE),--instance-type $(TYPE))
cost:
	@$(PLANNED)
capacity:
	@$(PLANNED) $(USER_FLAG)
simulate:
	@$(PLANNED) $(USER_FLAG) $(if $(PICTURE),--picture $(PICTURE))

test: setup ## every tier of tests
	@.venv/bin/python -m tests.tiers

gpu: setup ## as root on a GPU host: the gate, containers, an 8B at 1 to 32 streams
	@.venv/bin/python -m tests.tiers gpu

gpu-figures: setup ## as root on a GPU host: measure its GPU for the planner (MODEL=llama3.1:8b)
	@.venv/bin/python -m tests.bench.gpu $(if $(MODEL),--model $(MODEL)) $(JSON_FLAG)

requirements: setup ## the fifty criteria, the tests that prove each, and their last results
	@.venv/bin/python -m tests.requirements $(JSON_FLAG)

bench: setup ## measure deploys, the driver, the image, the gateway, streams, memory, the simulator (PARTS="serving capacity")
	@.venv/bin/python -m tests.bench $(PARTS) $(JSON_FLAG)

soak: setup ## an hour of mixed chats with kills, a refresh, a rollback inside: what fails, what leaks (SOAK_MINUTES=60)
	@.venv/bin/python -m tests.soak $(if $(SOAK_MINUTES),--minutes $(SOAK_MINUTES)) $(JSON_FLAG)

rehearse: setup ## bad releases while people chat at the ENV=local that runs: a variable, an image, a change, a migration, an alarm
	@.venv/bin/python -m tests.soak --env $(ENV) --minutes 6 --rehearse $(JSON_FLAG)

docs: setup ## generate the roles' READMEs from their argument specs
	@.venv/bin/python -m ollama_gpu.role_readmes

UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command "make lock"
lock: ## resolve the dependencies anew into the locks (needs uv)
	@$(UV_COMPILE) --extra dev pyproject.toml -o requirements.lock
	@$(UV_COMPILE) requirements-checkov.in -o requirements-checkov.lock
