"""A node loads what its configuration asks for, and nothing else: start and memory stay small."""

import json
import sys
from pathlib import Path

from testnet.agents import agent
from testnet.processes import NodeProcess

# Clients, protocols and models that only some agents need. pydantic is typer's, for the options.
UNASKED = (
    *("httpx", "httpx2", "mcp", "mcp_types", "keyring", "sqlite_vec", "numpy", "onnxruntime"),
    *("tokenizers", "wasmtime"),
)
# `akshi-node`, which says at its end what it has loaded.
TELLING = (
    "import json, sys; from akshi_mesh.cli.main import main\n"
    "main(); print('loaded', json.dumps(sorted(sys.modules)), file=sys.stderr)"
)
WAIT_S = 20.0
RAIL = '[[spend.rails]]\nname = "till"\nkind = "webhook"\nurl = "http://127.0.0.1:9/pay"\n'


def loaded(directory: Path, config: str, *, task: str | None) -> set[str]:
    """The modules of a node's process at its end."""
    node = NodeProcess.create("n", directory, config)
    node.command = (sys.executable, "-c", TELLING)
    node.launch()
    try:
        node.wait_ready()
        if task is not None:
            sent = node.client.task_send(task, "hello")
            assert (
                node.client.task_wait(sent["id"], timeout_s=WAIT_S)["state"]
                == "TASK_STATE_COMPLETED"
            )
    finally:
        node.stop()
        assert node.listener is not None
        node.listener.join(WAIT_S)
    (told,) = [line for line in node.said if line.startswith("loaded ")]
    return set(json.loads(told.removeprefix("loaded ")))


def test_a_node_without_powers_outside_loads_no_client(tmp_path: Path) -> None:
    found = loaded(tmp_path / "n", agent("echo"), task="self/echo")
    assert not found & set(UNASKED)
    assert "akshi_mesh.node" in found


def test_a_rail_that_is_configured_is_loaded_at_the_start(tmp_path: Path) -> None:
    assert "httpx" in loaded(tmp_path / "n", RAIL, task=None)
