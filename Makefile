# `make` lists what there is. Every target makes .venv and installs what it needs; nothing else is touched.

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/sh
export PYTHONSAFEPATH := 1

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
IN_VENV := $(BIN)/python .ci/venv.py

# The first interpreter that is new enough; `make PYTHON=...` names another.
NEW_ENOUGH := -c "import sys; print('yes' if sys.version_info >= (3, 11) else '')"
CANDIDATES := python3 python python3.14 python3.13 python3.12 python3.11 py
PYTHON ?= $(firstword $(foreach p,$(CANDIDATES),$(if $(shell $(p) $(NEW_ENOUGH) 2>/dev/null),$(p))))

NO_PYTHON := poolwise needs Python 3.11 or newer: apt-get install python3 python3-venv (Debian, Ubuntu), \
	dnf install python3.11 (Fedora, RHEL), brew install python (macOS), winget install Python.Python.3.12 (Windows); \
	make PYTHON=/path/to/python names one

# One worker a core; a worker that runs dry takes tests from another.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal
# Cores are shared out already; tests about threads start processes of their own.
ONE_THREAD := POLARS_MAX_THREADS=1

# Folders too, so that a deleted file is noticed.
SOURCES = pyproject.toml setup.py MANIFEST.in \
	$(shell find data_specs riskadjust rating poolwise _ext -name __pycache__ -prune -o -print)

.PHONY: help demo test test-slow test-debug lint format types contract bench docs wheel develop clean

help:
	@echo "make demo        score a synthetic market and leave a results folder with a summary page"
	@echo "make test        the default tests, against an installed copy (a minute)"
	@echo "make test-slow   the long tests, and the cases that the default run leaves out"
	@echo "make test-debug  the default tests on kernels that check every index"
	@echo "make lint        ruff: rules and layout             make format    let ruff lay out the code"
	@echo "make types       mypy                               make contract  which package may import which"
	@echo "make bench       asv benchmarks                     make docs      the documentation, into site/"
	@echo "make wheel       source distribution and wheel, into dist/"
	@echo "make develop     an editable install, for work on the code"
	@echo "make clean       remove everything that was built, .venv too"

.venv/.made:
	$(if $(filter yes,$(shell "$(PYTHON)" $(NEW_ENOUGH) 2>/dev/null)),,$(error $(NO_PYTHON)))
	@"$(PYTHON)" .ci/venv.py create .venv
	@touch $@

.venv/.needs-run: .venv/.made pyproject.toml
	@$(IN_VENV) needs reports
	@touch $@

.venv/.needs-dev: .venv/.made pyproject.toml
	@$(IN_VENV) needs reports excel edge dev
	@touch $@ .venv/.needs-run

.venv/.needs-docs: .venv/.needs-run
	@$(IN_VENV) needs reports docs
	@touch $@

.venv/.needs-bench: .venv/.needs-run
	@$(IN_VENV) needs reports bench
	@touch $@

# A plain install, not an editable one: tests then see what a user of the wheel sees.
.venv/.installed: $(SOURCES) | .venv/.needs-run
	@$(IN_VENV) project
	@touch $@

demo: .venv/.needs-run .venv/.installed
	@$(BIN)/poolwise demo $(if $(OUT),--out "$(OUT)")

test: .venv/.needs-dev .venv/.installed
	@$(ONE_THREAD) $(PYTEST) $(ARGS)

test-slow: .venv/.needs-dev .venv/.installed
	@$(PYTEST) -m slow $(ARGS)

test-debug: .venv/.needs-dev
	@rm -f .venv/.installed
	@POOLWISE_DEBUG_KERNELS=1 $(IN_VENV) project
	@$(ONE_THREAD) $(PYTEST) $(ARGS)

lint: .venv/.needs-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: .venv/.needs-dev
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

types: .venv/.needs-dev
	@$(BIN)/mypy

contract: .venv/.needs-dev
	@$(BIN)/lint-imports

bench: .venv/.needs-bench .venv/.installed
	@$(BIN)/python benchmarks/run.py $(ARGS)

docs: .venv/.needs-docs .venv/.installed
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir site
	@echo "site/index.html"

wheel: .venv/.needs-dev
	@rm -rf dist build/release/lib* *.egg-info
	@$(BIN)/python -m build --outdir dist . >build.log 2>&1 || { cat build.log; rm -f build.log; exit 1; }
	@rm -f build.log
	@ls dist

develop: .venv/.needs-dev
	@$(IN_VENV) project --editable
	@touch .venv/.installed

clean:
	@rm -rf .venv build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .asv
	@find data_specs riskadjust rating poolwise tests -name __pycache__ -prune -exec rm -rf {} +
