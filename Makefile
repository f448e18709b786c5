# Every verb first installs what it needs (`make setup`) and then calls `ollama-gpu VERB`.
#   ENV=name   the environment (local)        JSON=1  machine-readable output
#   YES=1      no questions                   LAB=off ENV=local without containers: the Terraform fabric alone
# The text after `##` is the verb's help; `make docs` copies it to docs/reference/verbs.md.
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

setup: ## create .venv from the lock
	@$(PYTHON) scripts/setup.py

doctor: ## check this machine and this shell; changes nothing
bootstrap: ## create the account's buckets and image role, and the environment's image parameter (once per environment)
preflight: ## check credentials, quotas, certificate, image, models; changes nothing
plan: ## show what a deploy would change
outputs: ## print every identifier and address
verify: ## check that the environment serves: chats, first token, GPUs, alarms
administrator: ## print the first administrator's e-mail address and password
releases: ## list what was deployed, by which user, and the result
env: ## print exports for aws-cli, boto3 and Ansible: eval "$(make env)"
$(READS): setup
	@$(OLLAMA_GPU) $@ --env $(ENV) $(JSON_FLAG)

status: setup ## show fleets, load, GPUs, boots and alarms (WATCH=10: refresh every 10 s)
	@$(OLLAMA_GPU) status --env $(ENV) $(JSON_FLAG) $(if $(WATCH),--watch --every $(WATCH))

logs: setup ## print log lines (GROUP=boot|gateway|..., INSTANCE=<id>, SINCE=15m, FOLLOW=1)
	@$(OLLAMA_GPU) logs --env $(ENV) $(JSON_FLAG) $(if $(GROUP),--group $(GROUP)) $(if $(INSTANCE),--instance $(INSTANCE)) \
	  $(if $(SINCE),--since $(SINCE)) $(if $(filter-out 0,$(FOLLOW)),--follow)

events: setup ## list scaling, rollouts, spot notices, alarms and backups with time and reason (SINCE=24h)
	@$(OLLAMA_GPU) events --env $(ENV) $(JSON_FLAG) $(if $(SINCE),--since $(SINCE))

sign-on: setup ## store the OpenID client's secret, read from standard input
	@$(OLLAMA_GPU) sign-on --env $(ENV)

deploy: setup ## plan, ask, apply, roll the instances, and wait until they serve
	@$(OLLAMA_GPU) deploy --env $(ENV) $(JSON_FLAG) $(YES_FLAGS) $(if $(filter off,$(LAB)),--no-lab)

destroy: setup ## delete an environment with its data, then search for leftovers
	@$(OLLAMA_GPU) destroy --env $(ENV) $(JSON_FLAG) $(YES_FLAGS)

rollout: setup ## show what instances run and the progress of a rollout (DO=follow, DO=cancel)
	@$(OLLAMA_GPU) rollout $(or $(DO),status $(JSON_FLAG)) --env $(ENV)

rollback: setup ## roll back to the previous release, or to release TO
	@$(OLLAMA_GPU) rollback $(TO) --env $(ENV) $(JSON_FLAG) $(YES_FLAGS)

state: setup ## list versions of the Terraform state (RESTORE=version: for a corrupt state only)
	@$(OLLAMA_GPU) state $(if $(RESTORE),restore $(RESTORE) $(filter-out --yes,$(YES_FLAGS)),list $(JSON_FLAG)) --env $(ENV)

unlock: setup ## release the state lock of a dead run, by its LOCK id
	@$(OLLAMA_GPU) unlock --env $(ENV) $(LOCK)

bake: setup ## build and publish the machine image (FORCE=1: even if its content is unchanged)
	@$(OLLAMA_GPU) bake --env $(ENV) $(JSON_FLAG) $(if $(filter-out 0,$(FORCE)),--force)

models: setup ## list or change the served models (ADD=, REMOVE=, PIN=NAME[@DIGEST], PUBLISH="NAME ..."|default)
	@$(OLLAMA_GPU) models $(if $(ADD),add $(ADD),$(if $(REMOVE),remove $(REMOVE),$(if $(PIN),pin $(PIN),\
	  $(if $(PUBLISH),publish $(filter-out default,$(PUBLISH)),list $(JSON_FLAG))))) --env $(ENV)

backup: setup ## back up now (LIST=1: list recovery points; ONLY=part)
	@$(OLLAMA_GPU) backup $(if $(filter-out 0,$(LIST)),list,now $(foreach part,$(ONLY),--only $(part))) --env $(ENV) $(JSON_FLAG)

restore: setup ## restore from a backup (POINT=id from the list or TIME=2026-01-31T14:05:00Z, ONLY="database uploads")
	@$(OLLAMA_GPU) restore --env $(ENV) $(if $(POINT),--point $(POINT)) $(if $(TIME),--time $(TIME)) $(foreach part,$(ONLY),--only $(part)) $(JSON_FLAG) $(YES_FLAGS)

drill: setup ## delete the data for real, restore them, and compare their content
	@$(OLLAMA_GPU) drill --env $(ENV) $(JSON_FLAG) $(YES_FLAGS)

local-down: setup ## stop ENV=local and remove its containers, volumes and network
	@$(OLLAMA_GPU) local-down

# Without ENV these three plan prod, because the size of the lab answers no capacity question.
capacity: setup ## compute streams, slots, GPU memory, instances and price for USERS=3000 (MODEL=, TYPE=)
simulate: setup ## simulate a day of USERS=3000: first token, refusals, instances, cost (PICTURE=file.svg)
cost: setup ## estimate the monthly cost of an environment, line by line
PLANNED   = $(OLLAMA_GPU) $@ --env $(if $(filter file,$(origin ENV)),prod,$(ENV)) $(JSON_FLAG)
USER_FLAG = $(if $(USERS),--users $(USERS)) $(if $(MODEL),--model $(MODEL)) $(if $(TYPE),--instance-type $(TYPE))
cost:
	@$(PLANNED)
capacity:
	@$(PLANNED) $(USER_FLAG)
simulate:
	@$(PLANNED) $(USER_FLAG) $(if $(PICTURE),--picture $(PICTURE))

check: setup ## run linters, unit tests and the embedded AWS's, no Docker, no root (SINCE=main: and what the changes need)
	@.venv/bin/python -m tests.check $(if $(SINCE),--since $(SINCE))

role: setup ## converge and test one role in a container (ROLE=gateway; KEEP=1 keeps the container for the next run)
	@.venv/bin/python -m tests.role '$(ROLE)' $(if $(filter-out 0,$(KEEP)),--keep)

test: setup ## run every tier of tests
	@.venv/bin/python -m tests.tiers

faults: setup ## run every fault and drain during chats on its own ENV=local (half an hour)
	@.venv/bin/python -m tests.tiers faults

gpu: setup ## run the GPU tests, as root on a GPU host: GPU gate, containers, an 8B model at 1 to 32 streams
	@.venv/bin/python -m tests.tiers gpu

gpu-figures: setup ## measure a GPU for the planner, as root on a GPU host (MODEL=llama3.1:8b)
	@.venv/bin/python -m bench.gpu $(if $(MODEL),--model $(MODEL)) $(JSON_FLAG)

requirements: setup ## list the fifty acceptance criteria, their tests and the last results
	@.venv/bin/python -m tests.requirements $(JSON_FLAG)

bench: setup ## measure deploys, image, gateway, streams, memory, simulator (PARTS="serving capacity")
	@.venv/bin/python -m bench $(PARTS) $(JSON_FLAG)

soak: setup ## chat with a running ENV=local for an hour during faults and a rollout (SOAK_MINUTES=60)
	@.venv/bin/python -m bench.soak $(if $(SOAK_MINUTES),--minutes $(SOAK_MINUTES)) $(JSON_FLAG)

rehearse: setup ## deploy bad releases to a running ENV=local during chats; each must roll back
	@.venv/bin/python -m bench.soak --env $(ENV) --minutes 6 --rehearse $(JSON_FLAG)

docs: setup ## generate the reference pages and the READMEs of roles and modules
	@.venv/bin/python -m reference_docs

site: setup ## build the documentation site into .ollama-gpu/site
	@.venv/bin/mkdocs build --strict

UV_COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --custom-compile-command "make lock"
lock: ## resolve the dependencies into the lock files again (needs uv)
	@$(UV_COMPILE) --extra dev --extra local pyproject.toml -o requirements.lock
	@$(UV_COMPILE) requirements-checkov.in -o requirements-checkov.lock
