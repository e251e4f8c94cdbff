# One list of verbs. Needs python3 (3.11 to 3.13, with venv) and make; everything else is pinned in requirements*.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
AGENTS := .venv-agents/.agents

.PHONY: setup demo test check fix sim bench lock agents clean

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

agents: $(AGENTS)
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

$(AGENTS): requirements-agents.lock
	$(PYTHON) -m venv .venv-agents
	.venv-agents/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-agents.lock
	touch $@
