# The tasks of this repository; `make help` lists them. A task takes three lines at most:
# what needs more is a script, or a subcommand of the binary.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export FATHOM_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fathom
# scripts/setup writes this file: where the tools are that cargo and the tests need.
tools := source "$$FATHOM_TOOLS/env" &&

# Snapshots are compared, never rewritten: a changed one is a failure to look at.
test_env := INSTA_UPDATE=no \
	FATHOM_TEST_NODE_MODULES="$$FATHOM_TOOLS/node/node_modules" \
	FATHOM_TEST_PYTHON="$$FATHOM_TOOLS/venv/bin/python" \
	FATHOM_TEST_MODELS="$$FATHOM_TOOLS/models" \
	FATHOM_TEST_MODEL="$$FATHOM_TOOLS/models/SmolLM2-135M-Instruct-Q4_1.gguf"

.PHONY: help
help: ## List the tasks
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

# With target-cpu=native llama.cpp uses every vector instruction this machine has. Such a
# binary may not start on another machine, so no other task builds one.
.PHONY: run
run: setup-build ## Build, and serve on 127.0.0.1:8080 with a demo tenant (flags: ARGS="…")
	$(tools) RUSTFLAGS="$${RUSTFLAGS-} -C target-cpu=native" cargo build --release -p fathom
	@exec "$${CARGO_TARGET_DIR:-target}/release/fathom" up $(ARGS)

.PHONY: drill
drill: setup-build ## Kill one of three zones under 200 streams, and say what they noticed (flags: ARGS="…")
	$(tools) RUSTFLAGS="$${RUSTFLAGS-} -C target-cpu=native" cargo build --release -p fathom
	@exec "$${CARGO_TARGET_DIR:-target}/release/fathom" drill zone-loss $(ARGS)

.PHONY: test
test: setup-test ## Run every test, with a real model and PostgreSQL (a part of them: ARGS="name")
	$(tools) cargo test --workspace --no-run
	@"$${CARGO_TARGET_DIR:-target}/debug/fathom" model fetch --dir "$$FATHOM_TOOLS/models"
	$(tools) $(test_env) scripts/with-postgres cargo test --workspace $(ARGS)

.PHONY: openapi
openapi: setup-build ## Write docs/openapi.json, the description of the public port, from the code
	$(tools) cargo build -p fathom
	@"$${CARGO_TARGET_DIR:-target}/debug/fathom" openapi >docs/openapi.json

.PHONY: bench-engine
bench-engine: setup-test ## Measure the engine beside llama.cpp itself (another model: ARGS="FILE.gguf")
	$(tools) cargo build -p fathom && "$${CARGO_TARGET_DIR:-target}/debug/fathom" model fetch --dir "$$FATHOM_TOOLS/models"
	$(tools) $(test_env) RUSTFLAGS="$${RUSTFLAGS-} -C target-cpu=native" cargo bench -p fathom-engine --bench throughput -- $(ARGS)

# The sanitizers are behind nightly flags; RUSTC_BOOTSTRAP lets the stable compiler take them.
.PHONY: fuzz
fuzz: setup-build ## Feed each fuzz target for a minute (FUZZ_SECONDS=60; one of them: ARGS="chat")
	@command -v cargo-fuzz >/dev/null || { echo 'no cargo-fuzz: cargo install --locked cargo-fuzz' >&2; exit 1; }
	$(tools) for target in $(or $(ARGS),$$(cargo fuzz list)); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run "$$target" -- -max_total_time=$(or $(FUZZ_SECONDS),60) -max_len=4096 -timeout=5; done

.PHONY: lint
lint: fmt-check clippy docs proto-lint ## Check format, clippy, documentation and protos

.PHONY: ci
ci: lint test ## Check and test, in the working folder (.ci/run does it as CI)

.PHONY: fmt
fmt: ## Format the Rust code
	cargo fmt

.PHONY: fmt-check
fmt-check:
	cargo fmt --check

.PHONY: clippy
clippy: setup-test
	$(tools) cargo clippy --workspace --all-targets -- -D warnings

.PHONY: docs
docs: setup-test
	$(tools) RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

.PHONY: proto-lint
proto-lint: setup-test
	$(tools) "$$FATHOM_TOOLS/buf/bin/buf" lint proto && scripts/proto-breaking

.PHONY: deny
deny: ## Check licences, advisories and origin of the dependencies
	@command -v cargo-deny >/dev/null || { echo 'no cargo-deny: cargo install --locked cargo-deny' >&2; exit 1; }
	cargo deny check

.PHONY: clean
clean: ## Remove what cargo has built
	cargo clean

.PHONY: setup-build setup-test
setup-build setup-test:
	@scripts/setup $(@:setup-%=%)
