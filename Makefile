# People and CI run the same targets; `make` alone lists them.
UV_VERSION := 0.13.8
# More workers than cores, because tests wait about half of the time.
WORKERS ?= 3
# The folder of the installed tools: this one, or a job's cache.
KEEP ?= .
# How many SQL tests also run on PostgreSQL 17: a seeded sample, or all with TEST_SAMPLE=all.
DRAW ?= 120
BIN := $(KEEP)/.venv/bin
SYNCED := $(KEEP)/.venv/.synced
UV := $(KEEP)/.uv/bin/uv
export UV_PROJECT_ENVIRONMENT := $(KEEP)/.venv

# Tests start hundreds of processes, which take twice as long without compiled files.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup tools run up down backup restore rotate-secrets test test-fast test-coverage test-fuzz test-containers pipeline test-pipeline test-all status rollback fault-drill scale-demo lint format docs dashboards pictures bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(UV): # uv brings everything else, in the versions of uv.lock
	python3 .ci/install_uv.py $(UV_VERSION) $(KEEP)/.uv

$(SYNCED): pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --all-extras && touch $@

setup: $(SYNCED) ## Create or update .venv, and install the commit hooks in a clone
	@if [ -d .git ]; then $(BIN)/pre-commit install >/dev/null || echo "the commit hooks were not installed" >&2; fi

tools: $(SYNCED) ## Install the browser, Prometheus, Alertmanager and wrk for tests and bench
	@.ci/install-system-packages

run: $(SYNCED) ## Start Tocsin with demo data on an embedded PostgreSQL
	@$(BIN)/tocsin up --demo

up: ## Start the system in containers, with Prometheus and Grafana
	@docker/require-compose
	docker compose up --detach --build --wait

down: ## Stop the containers and keep their volumes
	docker compose down

backup: ## Dump the containers' database into backups/, while it is running
	@docker/backup $(FILE)

restore: ## Replace the containers' database with a backup: FILE=backups/...
	@docker/restore $(FILE)

rotate-secrets: ## Replace the database passwords of the containers
	@docker/rotate-secrets

test: tools ## Run the tests without containers
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(COVERAGE) --durations=30

# Measuring doubles the CPU time of a service.
test-coverage: COVERAGE := --cov --cov-report= --cov-fail-under=0
test-coverage: test ## Run the same tests, with the coverage floor of the whole and of each package
	@rm -f .coverage.*  # incomplete files of killed processes
	$(BIN)/coverage report
	@$(BIN)/coverage json -q --fail-under=0 -o .coverage.json && python3 .ci/package_coverage.py .coverage.json

test-fast: export HYPOTHESIS_PROFILE ?= quick
test-fast: $(SYNCED) ## Run the fast tests: under a minute
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow and not pipeline"

test-fuzz: $(SYNCED) ## Send 20,000 mutated requests to every route of the services, or 200,000 with TEST_SAMPLE=all
	$(BIN)/pytest -m fuzz tests/e2e/test_fuzz.py

test-containers: $(SYNCED) ## Test the system in containers: a seeded sample, or all with TEST_SAMPLE=all
	.ci/on-postgres-17 $(BIN)/pytest -n $(WORKERS) --dist worksteal --draw $(DRAW) tests/alerts tests/incidents tests/oncall tests/notifications tests/kernel/test_query_plans.py tests/test_migrate.py
	$(BIN)/pytest --durations=10 tests/containers

pipeline: ## Check, build, scan, test, deploy and verify the commit at HEAD on this machine, with act
	@PYTHONPATH=.github/pipeline python3 -m stages.push $(OPTIONS)

test-pipeline: $(SYNCED) ## Test the delivery pipeline with containers: a seeded sample, or all with TEST_SAMPLE=all
	$(BIN)/pytest -m pipeline --durations=10 tests/pipeline

# At most an hour and a half. Two longer tests run separately: fault-drill, and PIPELINE_ACT_KILLS=20 test-pipeline.
test-all: export TEST_SAMPLE := all
test-all: lint test-coverage test-fuzz test-containers test-pipeline ## Run every test, without sampling: before a release

status: ## Show the running release, the good one, and an attempt in progress
	@.github/pipeline/deploy status

rollback: ## Return to the previous good release, or to TAG=...
	@.github/pipeline/deploy rollback $(TAG) || [ $$? = 10 ]  # rolled back, which is what was requested

fault-drill: $(SYNCED) ## Inject every fault into the containers, one at a time, and check that nothing is lost: an hour; WORDS=... selects some
	$(BIN)/python -m tests.support.containers.fault_drill $(WORDS)

scale-demo: tools ## Measure the throughput of one, two and three replicas
	$(BIN)/python -m tests.support.containers.scale_demo

lint: $(SYNCED) ## Check style, types, layers, security, complexity and duplication
	@PATH=$(abspath $(BIN)):$$PATH PYTHONPATH=.github/pipeline python3 -m stages.source
	@if command -v gitleaks; then gitleaks git --no-banner; fi

format: $(SYNCED) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix && $(BIN)/ruff format

docs: $(SYNCED) ## Generate docs/settings.md, docs/channels.md, and the senders in docs/api.md
	$(BIN)/python -m tests.support.settings_page
	$(BIN)/python -m tests.support.integrations_table
	$(BIN)/python -m tests.support.channels_page

dashboards: $(SYNCED) ## Generate grafana/dashboards/ from grafana/generate/
	$(BIN)/python -m grafana.generate

pictures: tools ## Take screenshots of every page in both themes and two widths, into pictures/
	@mkdir -p pictures && $(BIN)/python -m tests.support.web.screenshots pictures

bench: tools ## Run the benchmarks, and measure this machine's limits
	$(BIN)/python -m bench
	$(BIN)/python -m bench --filled
	$(BIN)/python -m bench.pages

clean: ## Remove the installed and generated files; the data in .tocsin/ stays
	rm -rf .venv .uv .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
