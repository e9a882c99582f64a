# make demo   from a fresh machine to a live adapter        make up     the stack and the console, until Ctrl-C
# make test   the whole suite, on real parts                make check  format, lint, strict types, import contracts
.DEFAULT_GOAL := help
.PHONY: help install demo up test check format clean
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && { command -v $$p; break; }; done)
HAS_GPU := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -c GPU)
LOCK := requirements/$(if $(filter-out 0,$(HAS_GPU)),gpu,cpu).lock
BIN := .venv/bin
STAMP := .venv/installed-$(shell cat $(LOCK) pyproject.toml 2>/dev/null | sha256sum | cut -c1-12)
# Modules are compiled when they are first imported: most never are, and compiling all takes longer than fetching them.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-input --no-compile

help:
	@sed -n '1,2s/^# //p' Makefile

install: $(STAMP)

$(STAMP):
	@test -n "$(PYTHON)" || { echo "Gatewright needs Python 3.11, 3.12 or 3.13; install one or say PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Installing exact versions from $(LOCK) into .venv (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) torch==2.13.0
	@$(PIP) --no-deps -r $(LOCK)
	@$(PIP) --no-deps --no-build-isolation -e .
	@rm -rf gatewright.egg-info  # beside the sources it would hide what is installed
	@rm -f .venv/installed-* && touch $(STAMP)

demo: install
	@$(BIN)/gatewright demo

up: install
	@$(BIN)/gatewright up

test: install
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

check: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
