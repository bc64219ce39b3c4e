# The ways to build, run and test certmint. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
DATA ?= .certmint
LISTEN ?= 127.0.0.1:8443
VENV := .venv
SOAK_SEEDS ?= 20000
SOAK_ROUNDS ?= 100
SOAK_FIRST ?= $(shell date +%s)
TOOLS := tests/tools/node_modules/.bin
CARGO := cargo

.PHONY: help run demo test soak check bench build dist test-rust test-clients setup setup-debian setup-python setup-node

help: ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

build: ## Builds the server and the command line (release).
	$(CARGO) build --release --locked

dist: ## Builds the binary for shipping (link-time optimisation, stripped).
	$(CARGO) build --profile dist --locked

run: build ## Starts a development server on LISTEN (127.0.0.1:8443) with its data in DATA (.certmint).
	exec $(TARGET)/release/certmint serve --dev --data-dir $(DATA) --listen $(LISTEN)

demo: build setup-debian ## Plays the eleven scenarios on screen, with the watch stream beside them.
	exec scripts/demo.sh $(TARGET)/release/certmint

test: check test-rust test-clients ## Runs every check and every test; installs what they need.

check: setup-debian setup-node ## Formatting, lints, architecture, contract, dependencies and licences.
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --test architecture --test dependencies
	$(TOOLS)/buf lint
	$(TOOLS)/buf format -d --exit-code

test-rust: setup-debian ## The Rust tests.
	$(CARGO) test --locked

test-clients: setup-debian setup-python ## The unmodified Azure SDK for Python and a Python gRPC client against the built binary.
	$(CARGO) build --locked
	CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint $(VENV)/bin/python -m pytest -q tests/clients/python

soak: setup-debian ## Long runs: SOAK_SEEDS (20000) simulations, and SOAK_ROUNDS (100) of each fault with real processes; seeds are printed.
	SIM_FIRST=$(SOAK_FIRST) SIM_SEEDS=$(SOAK_SEEDS) $(CARGO) test --locked --profile soak --test sim whatever_breaks -- --nocapture
	SOAK_ROUNDS=$(SOAK_ROUNDS) $(CARGO) test --locked --profile soak --test soak -- --include-ignored --nocapture --test-threads=1

bench: setup-debian build ## Measures, each figure beside the bare thing in the same run; see docs/benchmarks.md.
	@# A copy: cargo bench builds the binary again, with the features that the tests need.
	mkdir -p $(TARGET)/measured && cp -f $(TARGET)/release/certmint $(TARGET)/measured/
	CERTMINT_BINARY=$(abspath $(TARGET))/measured/certmint $(CARGO) bench --locked --bench speed

setup: setup-debian setup-python setup-node ## Installs what the tests need.

setup-debian:
	@scripts/debian-packages.sh

setup-python: $(VENV)/.installed

$(VENV)/.installed: tests/clients/python/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

setup-node: tests/tools/node_modules/.installed

tests/tools/node_modules/.installed: tests/tools/package.json tests/tools/package-lock.json
	cd tests/tools && npm install --no-save --no-audit --no-fund --silent
	touch $@
