# make run: everything on this host. make test, make lint: a developer's checks. ARGS are passed on.
VENV := .venv
BIN := $(VENV)/bin
PYTHONS := python3.13 python3.12 python3.11 python3 python
DECLARED := pyproject.toml constraints.txt
GENERATED := docs/configuration.md docs/commands.md docs/samples.md dashboards/grafana dashboards/prometheus
JOBS ?= auto
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format generated generate clean
.SILENT:

help:
	echo "make run        agent, analyzer and page on this host (ARGS='--listen 127.0.0.1:0 --for 60')"
	echo "make setup      .venv with everything for development"
	echo "make test       all tests (ARGS='-k segment')"
	echo "make lint       style, types, import layers"
	echo "make format     put the style right"
	echo "make generated  regenerate derived files; fails when they were out of date"
	echo "make clean      remove .venv and caches"

setup: $(VENV)/.development

run: $(VENV)/.runtime
	exec $(BIN)/truechimer up $(ARGS)

test: $(VENV)/.development
	$(BIN)/pytest -n $(JOBS) $(ARGS)

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy dashboards
	$(BIN)/lint-imports

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/.development
	$(BIN)/python -m truechimer.config.documenting > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(BIN)/python -m truechimer_cli.documenting > docs/commands.md.new
	mv docs/commands.md.new docs/commands.md
	$(BIN)/python -m dashboards.build

generated: generate
	git diff --exit-code --stat -- $(GENERATED) \
	    || { echo "make generated: these files were out of date; they are right now: commit them" >&2; exit 1; }

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The interpreter: $(PYTHON) when given, else the newest of the list that is 3.11 or later.
$(BIN)/python:
	set -e; \
	suits() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }; \
	found=; \
	for python in $(or $(PYTHON),$(PYTHONS)); do \
	    if suits "$$python"; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "truechimer needs Python 3.11 or later; tried: $(or $(PYTHON),$(PYTHONS))." >&2; \
	    echo "Install one (Debian 12 or later: apt install python3 python3-venv) or name it: make $(firstword $(MAKECMDGOALS)) PYTHON=/path/to/python3" >&2; \
	    exit 2; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$found cannot make virtual environments: install its venv package (Debian: apt install python3-venv)." >&2; \
	    exit 2; \
	fi; \
	echo "making $(VENV) with $$($$found --version)"; \
	rm -rf $(VENV); \
	"$$found" -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(VENV)/.runtime: $(DECLARED) | $(BIN)/python
	echo "installing what running needs (once)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[analyzer]'
	touch $@

$(VENV)/.development: $(DECLARED) | $(BIN)/python
	echo "installing what development needs (once)"
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[analyzer]' --group dev
	touch $(VENV)/.runtime $@
