# Everything here needs only make, gcc and Python 3.11 to 3.14; the rest is set up on first use.

.DEFAULT_GOAL := help
.PHONY: help setup serve browser clients test faults python-check fuzz soak bench bench-quick bench-overload check format clean

# Assigned outright, so that a HOST in the environment (some shells set one) changes nothing;
# `make serve HOST=…` overrides them all the same.
HOST = 127.0.0.1
PORT = 8000
MODEL = llava-tiny
ARGS =
FUZZ_S = 600
SOAK_S = 600
VERSION = 3.13
BENCH_OUT = .bench

BIN := .venv/bin
DOCKERFILES := Dockerfile docker/Dockerfile.cpu
SCRIPTS := scripts/setup.sh scripts/browser.sh scripts/clients.sh scripts/python_check.sh .ci/run

# The engine reports its use over the network unless told not to.
export VLLM_NO_USAGE_STATS = 1
export DO_NOT_TRACK = 1

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  make setup, serve, test and check take PYTHON=… and ACCELERATOR=cpu|cuda for the set-up.'

setup: ## create .venv and install everything; repeat at will
	@scripts/setup.sh

serve: setup ## serve a model [HOST=127.0.0.1 PORT=8000 MODEL=llava-tiny ARGS=…]
	@exec $(BIN)/python -m server --host $(HOST) --port $(PORT) --model $(MODEL) $(ARGS)

browser: ## install the browser that the page's tests need, where it is missing
	@scripts/browser.sh

test: setup ## run the tests, with the real engine [ARGS=…]
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

python-check: ## set up and test on the Python of another Debian, as root [VERSION=3.13 ARGS=…]
	@scripts/python_check.sh $(VERSION) $(ARGS)

clients: setup ## install the API's clients that tests/clients runs; without them its tests are skipped
	@scripts/clients.sh

fuzz: setup ## send damaged images to a real server for a while [FUZZ_S=600]
	@FUZZ_S=$(FUZZ_S) FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest --timeout=0 -s tests/api/test_fuzz.py

faults: setup ## run all tests of faults, those that take long, too
	@FAULTS=all $(BIN)/python -m pytest -n 2 --dist loadgroup tests/faults $(ARGS)

soak: setup ## traffic and faults for a while, then a verdict [SOAK_S=600 ARGS=--restart]
	@$(BIN)/python -m benchmarks.soak --out $(BENCH_OUT)/soak --seconds $(SOAK_S) $(ARGS)

bench: setup ## measure beside vLLM's own server, 40 minutes at most [BENCH_OUT=.bench ARGS=…]
	@$(BIN)/python -m benchmarks --out $(BENCH_OUT)/full $(ARGS)

bench-quick: setup ## the same in one short round, 5 minutes at most
	@$(BIN)/python -m benchmarks --out $(BENCH_OUT)/quick --quick $(ARGS)

bench-overload: setup ## measure both servers at ten times the clients that saturate them
	@$(BIN)/python -m benchmarks.overload --out $(BENCH_OUT)/overload $(ARGS)

check: setup ## check format, lint, types, import contracts, spelling, scripts and Dockerfiles
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/hadolint $(DOCKERFILES)

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

clean: ## remove .venv, .clients and the tools' caches
	rm -rf .venv .clients .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
