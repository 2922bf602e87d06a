# Every command of the project. Needs git, make and python3 >= 3.11; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# uv trusts the certificates that git and the system trust, such as those of a company proxy
export UV_SYSTEM_CERTS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-oldest check format bench clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.installed ## make synthetic scenes, train, evaluate, draw, and say where to look
	$(BIN)/intarsia demo

test: .venv/.dev ## the tests; those of real data where INTARSIA_DATA names the folder
	OMP_NUM_THREADS=1 $(PYTEST) -n 2 -m "not slow"

test-slow: .venv/.dev ## the tests that take minutes
	$(PYTEST) -m slow

test-oldest: .venv-oldest/.dev ## the tests with the oldest Python and the oldest releases that pyproject.toml allows
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n 2 -m "not slow"

check: .venv/.dev ## format, lint, types, layers
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(PYTEST) tests/test_layering.py

format: .venv/.dev ## rewrite the code in the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv-bench/.dev ## our speed against the peers', each script in benchmarks/
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; .venv-bench/bin/python $$script; done

clean: ## remove the environments and what the tools left behind
	rm -rf .venv .venv-oldest .venv-bench .pytest_cache .mypy_cache .ruff_cache .hypothesis

# -- environments: a stamp is newer than pyproject.toml once its packages are in --------------------------------------------

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Intarsia needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv

.venv/.installed: pyproject.toml | .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --editable .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/uv
	$(BIN)/uv pip install --python $(BIN)/python --group dev --editable .
	@touch $@ .venv/.installed

.venv-oldest/.dev: pyproject.toml | .venv/bin/uv
	$(BIN)/uv venv --clear --python 3.11 .venv-oldest
	$(BIN)/uv pip install --python .venv-oldest/bin/python --resolution lowest-direct --group dev --editable .
	@touch $@

.venv-bench/.dev: pyproject.toml | .venv/bin/uv
	$(BIN)/uv venv --clear .venv-bench
	$(BIN)/uv pip install --python .venv-bench/bin/python --group bench --editable .
	@touch $@
