"""Compiled components are shared, and gone before the interpreter takes wasmtime apart."""

from collections.abc import Iterator

import pytest

from tests.agents.harness import HOSTILE, Agent, Examples


@pytest.fixture(scope="session")
def examples() -> Iterator[Examples]:
    names = ("echo", "every", "librarian", "reader", "relay", "scribe")
    agents = {name: Agent.example(name) for name in names}
    yield agents
    agents.clear()


@pytest.fixture(scope="session")
def hostile() -> Agent:
    return Agent(HOSTILE / "hostile.wasm")
