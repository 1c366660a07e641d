PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Each module is compiled once, not by each of the hundreds of processes that the tests start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install demo unit test test-heavy lint clean

help:  ## Show the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml clients/python/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable clients/python --editable '.[worker,whisperx,embedded,flower,tracing,dev]'
	@touch $@

install: $(STAMP)  ## Create .venv with everything; the command line is .venv/bin/scriptorium

demo: install  ## Transcribe a real conversation on a local cluster
	$(BIN)/scriptorium demo

unit: install  ## The quick units: what to run while you change something
	$(BIN)/python -m pytest tests/unit -m 'not slow and not heavy' --numprocesses logical --dist worksteal --hypothesis-profile quick

test: install  ## Run the suite: units with their coverage, then whole clusters
	$(BIN)/python -m pytest tests/unit --numprocesses logical --dist worksteal --cov --cov-fail-under=90 --cov-report=term:skip-covered
	$(BIN)/python -m pytest tests/integration -m 'not heavy'

test-heavy: install  ## Run the long fault and memory tests
	$(BIN)/python -m pytest -m heavy

lint: install  ## Style, types and import walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## Remove what the commands above made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-output *.egg-info
