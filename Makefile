# One list of verbs. Needs python3 (3.11 to 3.13, with venv) and make; everything else is pinned in requirements*.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
AGENTS := .venv-agents/.agents
JS_TEMPLATE := sandbox/sdk/templates/js
RUST_PACKAGES := rustc cargo libstd-rust-dev-wasm32 lld

.PHONY: setup demo test check fix sim bench coverage mutation lock agents rust clean

setup: $(DEV)

demo: $(RUNTIME)
	$(BIN)/akshi-node testnet demo --nodes 3 --corpus docs --question "What happens when an agent calls a capability it does not have?"

test: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest

check: test

fix: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sim: $(RUNTIME)
	$(BIN)/python -m testnet sim --seed 1 --seeds 50 --nodes 5

bench: $(DEV)
	$(BIN)/python -m bench --json

coverage: $(DEV)
	$(BIN)/python -m tests.deciding

mutation: $(DEV)
	$(BIN)/python -m tests.mutation

agents: $(AGENTS) rust
	.venv-agents/bin/python -m examples.build --check

lock: $(DEV)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group build --group dev --extra keyring pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --group agents -o requirements-agents.lock

clean:
	rm -rf $(VENV) .venv-agents

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

$(AGENTS): requirements-agents.lock $(JS_TEMPLATE)/package-lock.json
	$(PYTHON) -m venv .venv-agents
	.venv-agents/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-agents.lock
	mkdir -p .venv-agents/js
	cp $(JS_TEMPLATE)/package.json $(JS_TEMPLATE)/package-lock.json .venv-agents/js/
	PATH="$(CURDIR)/.venv-agents/bin:$$PATH" npm --prefix .venv-agents/js install --no-save --silent --no-audit --no-fund
	touch $@

# Rust comes from the system: no registry of packages has a compiler with the library of wasm.
rust:
	@test -d /usr/lib/rustlib/wasm32-unknown-unknown/lib -a -x /usr/bin/wasm-ld || \
	if command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(RUST_PACKAGES) >/dev/null; \
	else \
		echo "agents in Rust need: apt install $(RUST_PACKAGES)"; \
	fi
