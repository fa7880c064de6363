# Everything is created in .local/ and .venv/. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv/bin
SOAK_MINUTES ?= 10
# Twice as many as cores: many tests wait. Each worker has its own servers; the slowest test files come first.
TEST_WORKERS ?= 4
SIDE_BY_SIDE := --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
SETUP  := $(PYTHON) -m local.bootstrap
CODE   := PYTHONPATH=functions:ops:.

export MYPY_CACHE_DIR := .local/cache/mypy
export RUFF_CACHE_DIR := .local/cache/ruff
export PYTEST_DEBUG_TEMPROOT := .local/tmp

.DEFAULT_GOAL := help
.PHONY: help up down demo test pytest test-lambda test-unit bench crash-matrix explore soak audit aws-smoke lint check template format venv clean test-stepfunctions-local report-screenshots test-snowflake

help:           ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up:             ## start (or reuse) a MySQL server and a local AWS, deploy the stack, write .local/env
	@$(SETUP) venv sam mysql
	@$(VENV)/python -m local up

down:           ## stop them; the database stays, the local AWS loses its data
	@if [ -x $(VENV)/python ]; then $(VENV)/python -m local down; else echo "nothing was started here"; fi

demo:           ## up, then three runs: everything, the changes, nothing
	@$(SETUP) venv sam mysql
	@$(VENV)/python -m local demo

test:           ## all checks and tests; no AWS account and no MySQL server needed
	@$(SETUP) venv sam test-servers browser
	@$(MAKE) --no-print-directory --jobs=3 check template pytest

pytest:
	@mkdir -p $(PYTEST_DEBUG_TEMPROOT)
	@$(VENV)/python -m pytest -o cache_dir=.local/cache/pytest $(SIDE_BY_SIDE) tests/e2e tests/integration tests/statemachine tests/unit

# Without what tests the local system, and the browser. Without servers: make test-lambda LAMBDA_TESTS=tests/unit
LAMBDA_TESTS ?= tests/integration tests/unit
test-lambda:    ## unit and integration tests with the Python and the versions that Lambda loads (NUMPY=2.4.4: the other numpy)
	@$(SETUP) venv $(if $(findstring integration,$(LAMBDA_TESTS)),test-servers)
	@mkdir -p $(PYTEST_DEBUG_TEMPROOT)
	@program=$$($(VENV)/python -m local.lambda_python) && PYTHONDONTWRITEBYTECODE=1 $$program -m pytest -q -p no:cacheprovider \
	  $(SIDE_BY_SIDE) --ignore-glob='tests/unit/test_local_*' --ignore=tests/unit/test_makefile.py --ignore=tests/integration/test_report_in_browser.py $(LAMBDA_TESTS)

test-unit:      ## the tests without servers (under a minute)
	@$(SETUP) venv
	@mkdir -p $(PYTEST_DEBUG_TEMPROOT)
	@$(VENV)/python -m pytest -q -o cache_dir=.local/cache/pytest $(SIDE_BY_SIDE) tests/unit

bench:          ## run the benchmark: peers, readers, gentleness; half an hour (BENCH_PARTS, BENCH_ROWS ..)
	@$(SETUP) venv sam mysql bench
	@$(VENV)/python -m benchmarks

crash-matrix:   ## kill the extractor at every step, then retry or run again; write docs/crash-matrix.md (a few minutes)
	@$(SETUP) venv sam test-servers
	@mkdir -p $(PYTEST_DEBUG_TEMPROOT)
	@WRITE_CRASH_MATRIX=1 $(VENV)/python -m pytest -q tests/integration/test_crash_matrix.py

explore:        ## check the commit in every interleaving of a few invocations (a few minutes)
	@$(SETUP) venv
	@$(CODE) $(VENV)/python -m tests.explorer

test-stepfunctions-local: venv  ## run the state machine tests in AWS's own container (needs docker)
	@STEPFUNCTIONS_LOCAL=1 $(VENV)/python -m pytest tests/statemachine/test_run.py tests/statemachine/test_redrive.py

report-screenshots:  ## take the screenshots of the run report in docs/images again
	@$(SETUP) venv browser
	@$(CODE) $(VENV)/python -m tests.integration.report_screenshots

.PHONY: screens
screens:        ## draw the screens of the command in docs/screens.md again
	@$(SETUP) venv
	@$(CODE) $(VENV)/python -m tests.support.screens

soak:           ## run the chaos test for SOAK_MINUTES (10): writers, runs, kills; CHAOS_SEED replays one
	@$(SETUP) venv sam test-servers
	@$(CODE) $(VENV)/python -m tests.integration.soak --minutes $(SOAK_MINUTES)

test-snowflake: ## run the load into Snowflake on fakesnow, in an environment of its own (350 MB)
	@$(SETUP) venv test-servers fakesnow
	@mkdir -p $(PYTEST_DEBUG_TEMPROOT)
	@$(VENV)/python -m pytest -q tests/integration/test_load_snowflake.py

aws-smoke:      ## try everything in an AWS account, and delete it: REGION=eu-west-1 BUDGET=1 (CLEAN=1: delete what a killed one left)
	@$(SETUP) venv sam
	@$(CODE) $(VENV)/python -m smoke --region "$(REGION)" $(if $(BUDGET),--budget "$(BUDGET)") $(if $(CLEAN),--clean)

# One list at a time: they pin different versions of some packages, and pip-audit refuses them together.
AUDITED := $(filter-out requirements/scan.txt,$(wildcard requirements/*.txt)) layers/zstd/requirements.txt
audit:          ## scan template and code (cfn-lint, checkov, bandit); check the packages against PyPI's vulnerabilities
	@$(SETUP) scan sam
	@.local/sam/bin/cfn-lint template.yaml smoke/database.yaml
	@.local/scan/bin/checkov --config-file .checkov.yaml
	@.local/scan/bin/bandit -q -c pyproject.toml -r functions ops local smoke benchmarks
	@$(SETUP) audit
	@failed=; for list in $(AUDITED); do \
	    echo "$$list:"; \
	    .local/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r "$$list" || failed=1; \
	  done; [ -z "$$failed" ] \
	  || { echo "error: a vulnerability is listed above, or was not looked up: a mirror of packages alone has no JSON API"; exit 1; }

lint: venv      ## check formatting, ruff and mypy
	@$(MAKE) --no-print-directory check

check:
	@$(VENV)/ruff format --check --quiet .
	@$(VENV)/ruff check --quiet .
	@$(VENV)/mypy --no-error-summary .

template:
	@SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR=.local/sam-settings AWS_DEFAULT_REGION=us-east-1 \
	  .local/sam/bin/sam validate --lint

format: venv    ## format the code with ruff
	@$(VENV)/ruff format .

venv:           ## create only the Python environment, for an editor
	@$(SETUP) venv

clean: down     ## stop everything and delete .local and .venv, including downloads
	rm -rf .local .venv
