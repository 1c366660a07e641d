PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The control plane and its tests, without torch, models and browsers.
LIGHT := .venv-light
LIGHT_STAMP := $(LIGHT)/.installed
# The worker without whisperX, on the newest torch and transformers, and the tests of what it loads.
NEWEST := .venv-newest
NEWEST_STAMP := $(NEWEST)/.installed
NEWEST_TESTS := $(addprefix tests/unit/gpu_worker/,test_modules.py test_loaded.py \
	test_missing_libraries.py models/test_hub.py models/test_hub_turns.py models/test_whisper.py alignment diarization/test_access.py \
	diarization/test_pretrained.py diarization/test_pico_voice.py diarization/test_campplus.py \
	diarization/test_offline.py)

# Where the tests are that inject faults.
FAULTS := tests/integration/faults tests/integration/operation/test_usage.py \
	tests/unit/orchestrator/jobs/test_crashes.py tests/unit/orchestrator/jobs/test_job_life.py

# How long `make fuzz` goes on.
FUZZ_SECONDS ?= 120

# Each module is compiled once, not by each of the hundreds of processes that the tests start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help install install-light demo unit unit-light test test-heavy faults fuzz fuzz-options load test-newest lint lint-light locks sbom audit wheels clean

help:  ## Show the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml clients/python/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable clients/python --editable '.[worker,whisperx,onnx,parakeet,embedded,flower,tracing,dev]'
	@touch $@

install: $(STAMP)  ## Create .venv with everything; the command line is .venv/bin/scriptorium

$(LIGHT_STAMP): pyproject.toml clients/python/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable clients/python --editable '.[embedded,tracing,style,test]'
	@touch $@

install-light: $(LIGHT_STAMP)  ## Create .venv-light, to change the control plane without torch (382 MB)

demo: install  ## Transcribe a real conversation on a local cluster
	$(BIN)/scriptorium demo

unit: install  ## The quick units: what to run while you change something
	$(BIN)/python -m pytest tests/unit -m 'not slow and not heavy' --numprocesses logical --dist worksteal --hypothesis-profile quick

unit-light: install-light  ## The quick units that need nothing of what .venv-light leaves out
	$(LIGHT)/bin/python -m pytest -p tests.light tests/unit -m 'not slow and not heavy' --numprocesses logical --dist worksteal --hypothesis-profile quick

test: install  ## Run the suite: units with their coverage, then whole clusters
	$(BIN)/python -m pytest tests/unit --numprocesses logical --dist worksteal --cov --cov-fail-under=90 --cov-report=term:skip-covered
	$(BIN)/python -m pytest tests/integration -m 'not heavy'

test-heavy: install  ## Run the long fault and memory tests
	$(BIN)/python -m pytest -m heavy

faults: install  ## Inject every fault into real clusters (an hour), and write docs/faults.md
	$(BIN)/python -m pytest -p tests.fault_report --fault-report build/faults.json -m fault $(FAULTS)
	$(BIN)/python -m tests.fault_report build/faults.json docs/faults.md

load: install  ## 1,000 jobs of 20 chunks, then 15 minutes at a steady rate: speed and growth
	$(BIN)/python -m benchmarks.fleet.load --json benchmarks/results/load.json --plot docs/scaling/soak.png

fuzz: install  ## Damage files and let the decoder read them (2 minutes; FUZZ_SECONDS=600 for longer)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
	@mkdir -p build
	$(BIN)/python -m tests.fuzz_decoder build/fuzz -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=build/

OPTION_SETS ?= pico=19700 tiny.en=300

fuzz-options: install  ## Send 20,000 sets of options through a real worker (an hour; OPTION_SETS=pico=1000: a minute)
	$(BIN)/python -m tests.fuzz_options $(OPTION_SETS) --json benchmarks/results/fuzz_options.json

$(NEWEST_STAMP): pyproject.toml constraints-newest.txt
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-newest.txt --editable '.[worker,embedded]' hypothesis jiwer pytest pytest-timeout
	@touch $@

test-newest: $(NEWEST_STAMP)  ## Test the worker without whisperX on the newest torch (6 GB)
	$(NEWEST)/bin/python -m pytest $(NEWEST_TESTS)

lint: install  ## Style, types and import walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-light: install-light  ## Style and import walls; mypy needs every library
	$(LIGHT)/bin/ruff check .
	$(LIGHT)/bin/ruff format --check .
	$(LIGHT)/bin/lint-imports

locks:  ## Write the images' versions and SHA-256s to locks/, from pyproject.toml and constraints.txt
	uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_36 --constraint constraints.txt --extra flower --extra tracing --output-file locks/orchestrator.txt pyproject.toml
	uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_36 --constraint constraints.txt --extra transcriber --extra tracing --output-file locks/cpu-worker.txt pyproject.toml
	uv pip compile --quiet --no-header --no-annotate --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_36 --constraint constraints.txt --extra worker --extra whisperx --extra parakeet --extra tracing --output-file locks/gpu-worker.txt pyproject.toml

sbom:  ## Write what the images hold, as CycloneDX, to build/
	@mkdir -p build
	uvx --from cyclonedx-bom cyclonedx-py requirements --output-file build/orchestrator.cdx.json locks/orchestrator.txt
	uvx --from cyclonedx-bom cyclonedx-py requirements --output-file build/cpu-worker.cdx.json locks/cpu-worker.txt
	uvx --from cyclonedx-bom cyclonedx-py requirements --output-file build/gpu-worker.cdx.json locks/gpu-worker.txt

audit:  ## Ask the advisory databases about each version in locks/
	uvx pip-audit --strict --disable-pip --no-deps --requirement locks/orchestrator.txt --requirement locks/cpu-worker.txt --requirement locks/gpu-worker.txt

wheels:  ## List the versions in locks/ that have no wheel for aarch64 (gigabytes may be fetched)
	$(PYTHON) -m scripts.platform_wheels

clean:  ## Remove what the commands above made
	rm -rf $(VENV) $(LIGHT) $(NEWEST) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-output *.egg-info
