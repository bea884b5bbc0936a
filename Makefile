# Each target is what a person types and what CI runs; `make` alone lists them.
UV_VERSION := 0.13.8
# More than two cores' worth: a test waits about as often as it works.
WORKERS ?= 3
# Where what is installed stays: here, or where a job says that it outlives the job.
KEEP ?= .
BIN := $(KEEP)/.venv/bin
SYNCED := $(KEEP)/.venv/.synced
UV := $(KEEP)/.uv/bin/uv
export UV_PROJECT_ENVIRONMENT := $(KEEP)/.venv
PARTS := $(patsubst src/tocsin/%/__init__.py,%,$(wildcard src/tocsin/*/__init__.py))

# Tests start processes by the hundred, each twice as long where Python may not keep what it compiled.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup tools run up down backup restore rotate-secrets test test-fast test-containers pipeline test-pipeline status rollback fault-drill scale-demo lint format docs dashboards pictures bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(UV): # uv brings everything else, in the versions of uv.lock
	python3 .ci/install_uv.py $(UV_VERSION) $(KEEP)/.uv

$(SYNCED): pyproject.toml uv.lock | $(UV)
	$(UV) sync --quiet --frozen --all-extras && touch $@

setup: $(SYNCED) ## Make .venv, or bring it up to date

tools: $(SYNCED) ## Have the browser, Prometheus, Alertmanager and wrk ready that tests and bench use
	@.ci/install-system-packages

run: $(SYNCED) ## Start Tocsin with a demo world on an embedded PostgreSQL
	@$(BIN)/tocsin up --demo

up: ## Start the whole system in containers, with Prometheus and Grafana
	@docker/require-compose
	docker compose up --detach --build --wait

down: ## Stop the containers; the data stays in their volumes
	docker compose down

backup: ## Write the containers' database into backups/, while it runs
	@docker/backup $(FILE)

restore: ## Put a backup in the place of the containers' database: FILE=backups/...
	@docker/restore $(FILE)

rotate-secrets: ## Make new passwords for the containers and have everybody use them
	@docker/rotate-secrets

test: tools ## Run every check that needs no container, and hold the coverage floor, of each package too
	$(BIN)/pytest -n $(WORKERS) --dist worksteal --cov --cov-report= --cov-fail-under=0 --durations=30
	@rm -f .coverage.*  # what processes that were killed have left half written
	$(BIN)/coverage report
	@for part in $(PARTS); do printf '%-14s' $$part; $(BIN)/coverage report --format=total --include="src/tocsin/$$part/*" || failed=1; done; exit $${failed:-0}

test-fast: export HYPOTHESIS_PROFILE ?= quick
test-fast: $(SYNCED) ## Run the tests that take under a minute together
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow and not pipeline"

test-containers: $(SYNCED) ## Test the system in containers: images, roles, kills, scaling, edge, backup
	.ci/on-postgres-17 $(BIN)/pytest -n $(WORKERS) --dist worksteal tests/alerts tests/incidents tests/oncall tests/notifications tests/kernel/test_query_plans.py tests/test_migrate.py
	$(BIN)/pytest tests/containers

pipeline: ## Check, build, scan, test, deploy and verify the commit at HEAD, on this machine, by act
	@PYTHONPATH=.github/pipeline python3 -m stages.push $(OPTIONS)

test-pipeline: $(SYNCED) ## Test the delivery pipeline with real containers: deploys, bad releases, kills, the way back
	$(BIN)/pytest -m pipeline tests/pipeline

status: ## Say which release runs, which was good last, and what is under way
	@.github/pipeline/deploy status

rollback: ## Go back to the release that was verified before: TAG=... to another one
	@.github/pipeline/deploy rollback $(TAG) || [ $$? = 10 ]  # gone back: to a stage bad news, here what was asked for

fault-drill: $(SYNCED) ## Do to the containers what may happen to them, one after the other, and see that nothing is lost: an hour; WORDS=... for some
	$(BIN)/python -m tests.support.containers.fault_drill $(WORDS)

scale-demo: tools ## Measure the containers with one, two and three replicas
	$(BIN)/python -m tests.support.containers.scale_demo

lint: $(SYNCED) ## Check style, types, layers, security, complexity and duplication
	@PATH=$(abspath $(BIN)):$$PATH PYTHONPATH=.github/pipeline python3 -m stages.source
	@if command -v gitleaks; then gitleaks git --no-banner; fi

format: $(SYNCED) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix && $(BIN)/ruff format

docs: $(SYNCED) ## Write docs/settings.md anew from the settings classes
	$(BIN)/python -m tests.support.settings_page

dashboards: $(SYNCED) ## Write grafana/dashboards/ anew from grafana/generate/
	$(BIN)/python -m grafana.generate

pictures: tools ## Photograph every page in both themes and two widths into pictures/
	@mkdir -p pictures && $(BIN)/python -m tests.support.web.screenshots pictures

bench: tools ## Measure, beside the limits of this machine
	$(BIN)/python -m bench
	$(BIN)/python -m bench.pages

clean: ## Remove what the targets above made; Tocsin's data in .tocsin/ stays
	rm -rf .venv .uv .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
