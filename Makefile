# Everything here needs only make, gcc and Python 3.11 to 3.14; the rest is set up on first use.

.DEFAULT_GOAL := help
.PHONY: help setup serve scale browser promtool clients test faults python-check fuzz soak bench bench-quick bench-gpu bench-overload bench-fleet bench-replicas image-check check format clean

# Assigned outright, so that variables of these names in the environment change nothing;
# `make test ARGS=…` overrides them all the same.
ARGS =
REPLICAS = 2
FUZZ_S = 600
SOAK_S = 600
VERSION = 3.13
BENCH_OUT = .bench

BIN := .venv/bin
# In order: xdist would begin with what has most tests, and end with single ones that take minutes.
# More than cores make starts slower than some tests wait for. Two take up to 20 GiB of memory.
PROCESSES = 2
SIDE_BY_SIDE = -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder
DOCKERFILES := Dockerfile docker/Dockerfile.cpu
# Whole objects; tests check the overlays, as kubectl puts them together.
MANIFESTS := $(wildcard deploy/k8s/base/[!k]*.yaml deploy/k8s/components/*/[hi]*.yaml deploy/k8s/overlays/gpu/cache.yaml)
SCRIPTS := scripts/setup.sh scripts/install_engine.sh docker/slim.sh scripts/image_check.sh scripts/browser.sh scripts/promtool.sh scripts/prometheus_rule.sh scripts/clients.sh scripts/python_check.sh .ci/run

# HOST, PORT and MODEL reach the server only from make's command line: some shells set a HOST, and
# without them the server's own variables (LLAVA_PORT) and defaults count.
given = $(if $(filter command,$(origin $(1))),--$(2) $($(1)))

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
	@exec $(BIN)/python -m server $(call given,HOST,host) $(call given,PORT,port) $(call given,MODEL,model) $(ARGS)

scale: setup ## serve with several replicas on this machine [REPLICAS=2, and as serve]
	@exec $(BIN)/python -m server scale --replicas $(REPLICAS) $(call given,HOST,host) $(call given,PORT,port) $(call given,MODEL,model) $(ARGS)

browser: ## install the browser that the page's tests need, where it is missing
	@scripts/browser.sh

promtool: ## install Prometheus' promtool, which checks metrics and alerts, where it is missing
	@scripts/promtool.sh

test: setup ## run the tests, with the real engine [PROCESSES=2 ARGS=…]
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

python-check: ## set up and test on the Python of another Debian, as root [VERSION=3.13 ARGS=…]
	@scripts/python_check.sh $(VERSION) $(ARGS)

clients: setup ## install the API's clients that tests/clients runs; without them its tests are skipped
	@scripts/clients.sh

fuzz: setup ## send damaged images to a real server for a while [FUZZ_S=600]
	@FUZZ_S=$(FUZZ_S) FUZZ_SEED=$$(date +%s) $(BIN)/python -m pytest --timeout=0 -s tests/api/test_fuzz.py

faults: setup ## run all tests of faults, those that take long, too
	@FAULTS=all $(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/faults $(ARGS)

soak: setup ## traffic and faults for a while, then a verdict [SOAK_S=600 ARGS=--restart]
	@$(BIN)/python -m benchmarks.soak --out $(BENCH_OUT)/soak --seconds $(SOAK_S) $(ARGS)

bench: setup ## measure beside vLLM's own server, 40 minutes at most [BENCH_OUT=.bench ARGS=…]
	@$(BIN)/python -m benchmarks --out $(BENCH_OUT)/full $(ARGS)

bench-quick: setup ## the same in one short round, 5 minutes at most
	@$(BIN)/python -m benchmarks --out $(BENCH_OUT)/quick --quick $(ARGS)

bench-gpu: setup ## measure LLaVA-1.5-7B's shape on a GPU, an hour [ARGS="--quick", "--shape llava-1.6-7b"]
	@$(BIN)/python -m benchmarks --out $(BENCH_OUT)/gpu --shape llava-1.5-7b $(ARGS)

bench-overload: setup ## measure both servers at ten times the clients that saturate them
	@$(BIN)/python -m benchmarks.overload --out $(BENCH_OUT)/overload $(ARGS)

bench-replicas: setup ## what Ray Serve and HAProxy cost: one replica against a plain server
	@$(BIN)/python -m benchmarks.replicas --out $(BENCH_OUT)/replicas $(ARGS)

bench-fleet: setup ## simulate a cell of replicas: routing, faults, scaling, updates [ARGS="--replicas 64 --seconds 300"]
	@$(BIN)/python -m benchmarks.fleet --out $(BENCH_OUT)/fleet $(ARGS)

image-check: setup ## build the images without a container engine and run the CPU image; root, Debian, ten minutes
	@scripts/image_check.sh

check: setup ## check format, lint, types, import contracts, spelling, scripts, containers and manifests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/hadolint $(DOCKERFILES)
	$(BIN)/compose-lint check --quiet --skip-suppressed --config docker/.compose-lint.yml --strict-config --fail-on low docker/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(MANIFESTS)

format: setup ## format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

clean: ## remove .venv, .clients and the tools' caches
	rm -rf .venv .clients .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
