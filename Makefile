# The one door: every way of building, running and checking skfleet is a target here.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.run-installed
DEV_STAMP := $(VENV)/.dev-installed
# Most tests wait for processes to start or to die; a file's tests share what it has started.
# In the order of the folders: what takes longest begins first, and unit tests fill the end.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skfleet needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): $(BIN)/python requirements/run.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# LightGBM's wheel leaves the system's OpenMP to the system; where it is there, nothing is said or done.
.PHONY: openmp
openmp:
	@[ "$$(uname)" != Linux ] || $(PYTHON) -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -qq --yes --no-install-recommends libgomp1 >/dev/null; \
	  else \
	    echo "LightGBM needs libgomp.so.1, which is not here; install it, for instance: apt-get install libgomp1" >&2; \
	  fi

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.txt | openmp
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: install
install: $(RUN_STAMP) ## Make .venv with the locked requirements and skfleet

.PHONY: demo
demo: install ## Score 336,776 real flights on a local fleet
	@$(BIN)/skfleet demo

.PHONY: test
test: $(DEV_STAMP) ## Run the tests
	$(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE)

.PHONY: check-all
check-all: lint $(DEV_STAMP) ## Everything, the slow suites too
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

.PHONY: lint
lint: $(DEV_STAMP) ## Style, types and import walls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(DEV_STAMP) ## Rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(DEV_STAMP) ## Write the parts of the documentation that follow from the code
	$(BIN)/python docs/generate.py

.PHONY: bench
bench: $(DEV_STAMP) ## Run the benchmarks
	$(BIN)/python benchmarks/memory_of_a_scorer.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/sketches.py
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python benchmarks/reading.py

.PHONY: chaos
chaos: $(DEV_STAMP) ## Break a local fleet in 200 ways and check every job, within 30 minutes
	$(BIN)/python -m tests.chaos --report

.PHONY: lock
lock: $(BIN)/python ## Pin the requirements again, with hashes and no index address
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra local --extra demo pyproject.toml requirements/build.in -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --extra boosting --group dev -c requirements/run.txt pyproject.toml \
	  -o requirements/dev.txt

.PHONY: clean
clean: ## Remove what the targets made (the local stack's state stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
