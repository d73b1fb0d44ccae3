# All commands for people and for CI. "make help" lists them.

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON ?=
ARGS ?=
# Many tests wait for real processes. The tests of a file stay together, because they share what was set up for them.
# ARGS=-n0 runs all of them in one process.
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Tests run in random order. The run prints its seed, and SEED=... repeats that order. CI always has the same.
SEED ?= $(if $(CI),1,default)
PYTEST := $(BIN)/python -m pytest --randomly-seed=$(SEED)

export PYTHON

INSTALLED := shared/pyproject.toml services/server/pyproject.toml services/client/pyproject.toml scripts/venv
RUN_STAMP := .venv/.installed-run
DEV_STAMP := .venv/.installed-dev

$(RUN_STAMP): requirements/build.txt requirements/server.txt requirements/client.txt $(INSTALLED)
	@scripts/venv run

$(DEV_STAMP): requirements/dev.txt $(INSTALLED)
	@scripts/venv dev

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: $(RUN_STAMP) ## mirror ./dirsync_from live into ./dirsync_to
	@$(BIN)/python scripts/run.py

.PHONY: venv
venv: $(DEV_STAMP) ## create .venv with everything that development needs

.PHONY: check
check: format lint types contracts proto-lint proto-fresh docs-fresh ## format, lint, types, import contracts, proto lint, staleness of what is generated

.PHONY: format
format: $(DEV_STAMP)
	$(BIN)/ruff format --check

.PHONY: lint
lint: $(DEV_STAMP)
	$(BIN)/ruff check

.PHONY: types
types: $(DEV_STAMP)
	$(BIN)/mypy

.PHONY: contracts
contracts: $(DEV_STAMP)
	$(BIN)/lint-imports

.PHONY: proto-lint
proto-lint: $(DEV_STAMP)
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

.PHONY: proto-fresh
proto-fresh: $(DEV_STAMP)
	$(BIN)/python scripts/proto.py --check

.PHONY: docs-fresh
docs-fresh: $(DEV_STAMP)
	$(BIN)/python scripts/settings.py --check
	$(BIN)/python scripts/reference.py --check
	$(BIN)/python scripts/status_docs.py --check
	$(BIN)/python scripts/envoy.py --check

.PHONY: test
test: $(DEV_STAMP) ## the first ring: minutes, and Python is enough; ARGS="-k scan" and so on narrow it
	$(PYTEST) $(PARALLEL) $(ARGS)

.PHONY: test-all
test-all: $(DEV_STAMP) ## the second ring: what starts programs for seconds, or needs root or other programs
	$(PYTEST) $(PARALLEL) --ring two $(ARGS)

# What these packages decide is proved by tests that start no process. Few examples are enough to reach every line.
PURE := tree delta wire
COVERED := $(foreach package,$(PURE),--cov dirsync.$(package) $(wildcard tests/unit/$(package) tests/property/$(package))) \
	tests/property/fs/scan/test_renames.py \
	--cov dirsync_client.reconcile tests/unit/client/reconcile tests/property/client tests/characterise
FLOOR := 95

.PHONY: coverage
coverage: $(DEV_STAMP) ## check the branch coverage of the pure packages
	COVERAGE_FILE=.venv/.coverage $(PYTEST) $(PARALLEL) --hypothesis-profile quick --cov-branch \
		--cov-fail-under $(FLOOR) --cov-report term-missing:skip-covered $(COVERED) $(ARGS)

# pytest calls an empty selection exit status 5; a target that ran nothing must not look as if it had passed.
define marked
$(PYTEST) -m $@ $(1) $(ARGS) || { status=$$?; \
	[ $$status -ne 5 ] || echo "make $@: no test is marked '$@', so nothing was run" >&2; exit $$status; }
endef

.PHONY: bench
bench: $(DEV_STAMP) ## measure against other programs, as root; ARGS="--rounds 5 --chains small,large"
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: scaling
scaling: $(DEV_STAMP) ## measure how cost grows with entries and with size, as root; ARGS="--entries 1000 10000 --sizes 16 1024"
	$(BIN)/python -m tests.bench.scaling $(ARGS)

.PHONY: strategies
strategies: $(DEV_STAMP) ## measure what choosing a strategy is worth beside each fixed one, as root
	$(BIN)/python -m tests.bench.strategies $(ARGS)

CLIENTS ?= 200
SERVERS ?= 4
SECONDS ?= 60

.PHONY: load
load: $(DEV_STAMP) ## put real clients on servers behind Envoy: CLIENTS=200 SERVERS=1,2,4 SECONDS=60 ARGS="--kill --write DIRECTORY"
	$(BIN)/python -m tests.load --clients $(CLIENTS) --servers $(SERVERS) --seconds $(SECONDS) $(ARGS)

.PHONY: faults
faults: $(DEV_STAMP) ## run the tests that break disks, networks and processes
	$(call marked)

SEEDS ?= 2000

.PHONY: simulate
simulate: $(DEV_STAMP) ## simulate client and server in one process; SEEDS=5000 the first 5,000 worlds, SEEDS=17-20 these four
	$(BIN)/python -m tests.simulation $(SEEDS)

CASES ?=
ROUNDS ?= 1

.PHONY: field
field: $(DEV_STAMP) ## run the case scripts of a folder: CASES=DIRECTORY, ROUNDS=10 all of them ten times; needs root
	@$(BIN)/python scripts/field.py --rounds $(ROUNDS) $(or $(CASES),$(error CASES=DIRECTORY names the folder of scripts))

MINUTES ?= 2

.PHONY: soak
soak: export SOAK_MINUTES = $(MINUTES)
soak: $(DEV_STAMP) ## run the tests that take a long time
	$(call marked,--capture=no --timeout=0)

.PHONY: proto
proto: $(DEV_STAMP) ## generate shared/src/dirsync/v1 from proto/
	$(BIN)/buf format --write
	$(BIN)/python scripts/proto.py

.PHONY: docs
docs: $(DEV_STAMP) ## write what documents list of settings, metrics, events and status.json, from the code
	$(BIN)/python scripts/settings.py
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/status_docs.py

.PHONY: envoy
envoy: $(DEV_STAMP) ## write the configurations of Envoy from scripts/envoy.template.yaml
	$(BIN)/python scripts/envoy.py

.PHONY: dashboard
dashboard: $(DEV_STAMP) ## write the Grafana dashboard from scripts/dashboard
	$(BIN)/python -m scripts.dashboard

.PHONY: screenshots
screenshots: $(DEV_STAMP) ## take the pictures of the status page for the documentation; needs chromium
	@$(BIN)/python -m tests.pages

.PHONY: screenshots-prometheus
screenshots-prometheus: $(DEV_STAMP) ## take pictures of Prometheus with our rules; needs chromium and prometheus
	@$(BIN)/python -m tests.pages.prometheus

.PHONY: lock
lock: $(DEV_STAMP) ## write requirements/*.txt; ARGS=--upgrade selects the newest versions
	scripts/lock $(ARGS)

.PHONY: wheels
wheels: $(DEV_STAMP) ## build the three wheels into dist/
	for package in shared services/server services/client; do \
		(cd $$package && "$(CURDIR)/$(BIN)/hatchling" build --target wheel --directory "$(CURDIR)/dist") || exit; done

# Docker compose is checked first, so that the message names what is missing.
define compose
@docker compose version >/dev/null || { echo "make $@: docker with the compose plugin is needed" >&2; exit 1; }
$(1)
endef

VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' shared/src/dirsync/__init__.py)
REVISION = $(shell git rev-parse HEAD 2>/dev/null)

.PHONY: images
images: ## build both images, tagged with the version that deploy/kubernetes names
	$(call compose,VERSION=$(VERSION) REVISION=$(REVISION) IMAGE_TAG=$(VERSION) docker compose build server client)

.PHONY: up
up: ## start both services with docker compose: ./data/source is mirrored into ./data/replica
	$(call compose,docker compose up --build --detach --wait)

.PHONY: down
down: ## stop the containers; the mirrored directories and the state of both services stay
	$(call compose,docker compose --profile '*' down)

.PHONY: clean
clean: ## remove files that the tools created; .venv, .dirsync and the mirrored directories stay
	rm -rf dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find shared services scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
