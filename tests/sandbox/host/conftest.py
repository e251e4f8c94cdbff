"""Starts supervisors; what they compile is kept for the module."""

import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from sandbox.agent_spec import AgentSpec
from sandbox.host.compile import Compiler
from sandbox.host.supervisor import Supervisor
from sandbox.host.zygote import Zygote
from tests.sandbox.fakes import FakeNode
from tests.sandbox.host.world import World, echo, hostile


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / "aot"


@pytest.fixture
async def start(nursery: trio.Nursery, cache: Path) -> AsyncIterator[Callable[..., object]]:
    node = FakeNode()
    node.now_ms = time.time_ns() // 1_000_000
    zygote = Zygote()

    async def start(
        *specs: AgentSpec, approved: dict[str, str] | None = None, **options: object
    ) -> World:
        node.approved.update(approved or {})
        await nursery.start(zygote.run)
        boundary = node.boundary(random_bytes=os.urandom)
        compiler = Compiler(zygote, directory=cache, key=bytes(32))
        supervisor = Supervisor(
            specs or (hostile(), echo()),
            boundary=boundary,
            zygote=zygote,
            compiler=compiler,
            **options,  # type: ignore[arg-type]
        )
        await nursery.start(supervisor.run)
        return World(node, boundary, zygote, supervisor)

    yield start
    nursery.cancel_scope.cancel()
