# Everything that is done by hand, one word each. `make help` lists the words.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.installed-run
DEV_READY := $(VENV)/.installed-dev
JS := tools/js
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm
JS_READY := $(JS)/node_modules/.installed
UP ?=
CHAOS ?=
CROWD ?=
SHOTS ?= shots
# Tests mostly wait, so a few run side by side, each process with servers of its own. They go folder by folder, since
# what the tests of a folder share is started for every time that a process comes back to it; within a folder their
# order is that of a seed, which is printed. Those of `make test` wait more than they work, so there are more of them.
SEED ?=
test: TEST_PROCESSES ?= 4
test-rest test-long test-browser: TEST_PROCESSES ?= 3
PYTEST = $(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder \
	$(if $(SEED),--order-seed $(SEED))

# Tests start hundreds of processes: compiled once is enough, also where the shell would keep nothing.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
# The parts of `make check` run beside each other. A make that can keeps the output of each together.
CHECKS := check-format check-lint check-types check-layers check-contract-redocly check-contract-spectral
TOGETHER := $(if $(filter output-sync,$(.FEATURES)),--output-sync)

.PHONY: help install run test test-rest test-long test-all test-browser bench crowd chaos shots check $(CHECKS) openapi fmt lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-12s %s\n", $$1, $$2 }'

install: $(DEV_READY) $(JS_READY) ## Make the virtual environment with everything for work on Skyhold

run: $(RUN_READY) ## Start everything on this machine; options by UP="--port 0"
	@$(BIN)/skyhold up $(UP)

test: $(DEV_READY) ## Run what a change usually breaks, on real servers; TEST_PROCESSES=4, SEED= of an order to repeat
	@$(PYTEST) --one-browser --target core

test-rest: $(DEV_READY) ## Run what else every change must pass
	@$(PYTEST) --one-browser --target rest

test-long: $(DEV_READY) ## Run crowds and hours of random steps, before a larger change is done
	@$(PYTEST) --one-browser --target long

test-all: test test-rest test-long ## Run all tests

test-browser: $(DEV_READY) ## Run the tests of the pages; they fail where there is no Chromium, `make test` skips them
	@SKYHOLD_BROWSER_REQUIRED=1 $(PYTEST) tests/browser --target core --target rest

bench: $(DEV_READY) ## Measure Skyhold beside a floor of the same messages; takes half a minute, wants a quiet machine
	@$(BIN)/python -m tools.benchmarks

crowd: $(DEV_READY) ## Run a simulated crowd with faults; options by CROWD="--forbidden 10 --flaky 10 --contend 20"
	@$(BIN)/python -m tools.crowd $(CROWD)

chaos: $(DEV_READY) ## Book while a monkey kills and stops everything, then audit; options by CHAOS="--seed 7 --for 5m"
	@$(BIN)/python -m tools.chaos $(CHAOS)

shots: $(DEV_READY) ## Take a picture of every page in every state, into SHOTS (a directory)
	@PYTHONPATH=tests $(BIN)/python -m support.shots $(SHOTS)

check: $(DEV_READY) $(JS_READY) ## Run what finds faults without running Skyhold: format, lint, types, layers, contract
	@$(MAKE) --no-print-directory --keep-going --jobs=3 $(TOGETHER) $(CHECKS)

check-format:
	@$(BIN)/ruff format --check --quiet .

check-lint:
	@$(BIN)/ruff check --quiet .

check-types:
	@$(BIN)/mypy

check-layers:
	@$(BIN)/lint-imports

check-contract-redocly:
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(BIN)/node $(JS)/node_modules/@redocly/cli/bin/cli.js \
		lint --config $(JS)/redocly.yaml docs/openapi.json

check-contract-spectral:
	@$(BIN)/node $(JS)/node_modules/@stoplight/spectral-cli/dist/index.js \
		lint --ruleset $(JS)/spectral.yaml --fail-severity hint docs/openapi.json

openapi: $(DEV_READY) ## Renew docs/openapi.json from the code
	@$(BIN)/python -m skyhold.web > docs/openapi.json

fmt: $(DEV_READY) ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

lock: $(DEV_READY) ## Renew the locks from pyproject.toml (needs uv in the environment: pip install uv)
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade --extra embedded pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade --extra embedded --extra dev --constraints requirements.lock pyproject.toml \
		--output-file requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--upgrade --constraints requirements.lock pyproject.toml --output-file requirements-service.lock
	@cd tools/client && $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --upgrade requirements.in --output-file requirements.lock
	@cd $(JS) && $(NPM) update --package-lock-only --loglevel=error

clean: ## Remove the virtual environment, caches and the data of `make run`
	rm -rf $(VENV) $(VENV)-client $(JS)/node_modules .skyhold .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov \
		.schemathesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Skyhold needs Python 3.11 or newer; name one with PYTHON=")'
	@$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what runs (once)..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(DEV_READY): requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing what runs and what tests (once)..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@ $(RUN_READY)

# No code of a package runs, nothing else is asked: see .npmrc there.
$(JS_READY): $(JS)/package.json $(JS)/package-lock.json $(JS)/.npmrc | $(DEV_READY)
	@echo "Installing what checks the contract (once)..." >&2
	@cd $(JS) && $(NPM) ci --ignore-scripts --loglevel=error
	@touch $@
