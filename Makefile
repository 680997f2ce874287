# Everything a developer does, by name: `make help`. ARGS is handed on, as in
# `make up ARGS="--port 9000"` or `make test ARGS="tests/unit -k wallet"`.
PYTHON ?= python3
# How many processes `make test` runs, each with servers of its own; 0 is for a debugger.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.8
STAMP := $(VENV)/.installed
WEB := services/gateway/web
SCRIPTS := $(WEB)/node_modules/.package-lock.json
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

.DEFAULT_GOAL := help
.PHONY: help setup up demo test check format asyncapi schemas commands rights alerts sbom screenshots bench lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | \
		while IFS='|' read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tollgate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Choose one with PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) cannot make an environment; on Debian it needs the package python3-venv." >&2; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install "uv==$(UV_VERSION)"
	@$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements-dev.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

$(SCRIPTS): $(WEB)/package-lock.json | $(STAMP)
	@cd $(WEB) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

setup: $(STAMP) $(SCRIPTS) ## create the environment in .venv, with pinned and hashed dependencies

up: $(STAMP) $(SCRIPTS) ## start the whole system with demo data, and say where it is
	@exec $(BIN)/tollgate up --demo $(ARGS)

demo: $(STAMP) $(SCRIPTS) ## tell the main job as a story on the terminal, on a system of its own
	@exec $(BIN)/python -m devkit.story $(ARGS)

test: $(STAMP) $(SCRIPTS) ## run all tests, on real servers that they start themselves
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(ARGS)

check: $(STAMP) ## run all linters, type checks and fences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	@# Fields (of messages, answers, rows) are read by others than us: vulture is surer of the rest.
	$(BIN)/vulture > $(VENV)/unused; test $$? -eq 0 -o $$? -eq 3
	! grep -vE "unused (attribute|variable) '.*' [(]60% confidence[)]$$" $(VENV)/unused
	$(BIN)/codespell
	@# What is deployed: image, compose file, Kubernetes' manifests rendered and validated, alerts.
	$(BIN)/pytest -q tests/deploy

format: $(STAMP) ## format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

schemas: $(STAMP) ## export the messages' JSON Schemas
	@$(BIN)/tollgate schemas

asyncapi: $(STAMP) ## export the AsyncAPI 3 document of the whole system
	@$(BIN)/tollgate asyncapi --output docs/asyncapi.json && echo docs/asyncapi.json

commands: $(STAMP) ## make the reference of the command line
	@$(BIN)/python -m tollgate.reference

rights: $(STAMP) ## export the services' rights on the bus for NATS' Helm chart
	@$(BIN)/tollgate bus permissions --helm > deploy/k8s/nats/rights.json && echo deploy/k8s/nats/rights.json

alerts: $(STAMP) ## make the alerts for Kubernetes of those in deploy/observability
	@$(BIN)/python deploy/observability/prometheus_rule.py > deploy/k8s/components/monitoring/alerts.yaml && echo deploy/k8s/components/monitoring/alerts.yaml

sbom: $(STAMP) ## list what the image is made of, as a CycloneDX document
	@mkdir -p build && $(BIN)/cyclonedx-py requirements --output-reproducible requirements.lock | \
		$(BIN)/python deploy/sbom.py > build/sbom.json.new && mv build/sbom.json.new build/sbom.json && echo build/sbom.json

screenshots: $(STAMP) $(SCRIPTS) ## take pictures of the main pages for docs/pages
	@$(BIN)/python -m tests.browser.screenshots

bench: $(STAMP) $(SCRIPTS) ## measure, beside a reference of the same minute
	@$(BIN)/tollgate bench $(ARGS)

lock: $(STAMP) ## pin the dependencies anew: requirements.lock is the image's, -dev is everybody's
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) --extra embedded --group dev pyproject.toml -o requirements-dev.lock

clean: ## remove what was made here: the environment and caches, never data
	@rm -rf $(VENV) $(WEB)/node_modules build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
