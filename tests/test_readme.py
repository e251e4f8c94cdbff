"""README keeps its word: what it prints as commands is run here, line by line, as printed.

Ports are exchanged for free ones, and pauses are longer: this machine may be busy.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.S)
LIMIT_S = 60


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def test_two_nodes_by_hand(tmp_path: Path) -> None:
    """Trust on both sides, a task that is answered, a journal entry that arrives."""
    (script,) = [block for block in BLOCKS if "task send" in block]
    script = script.replace("4821", free_port()).replace("4822", free_port())
    script = "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + script.replace(
        "sleep 2", "sleep 6"
    )
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hello, bob" in done.stdout
    assert "written by alice" in done.stdout.split("hello, bob")[1]


def test_the_two_commands_are_verbs_of_the_makefile() -> None:
    verbs = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    (two,) = [block for block in BLOCKS if block.startswith("make demo")]
    named = re.findall(r"^make (\w+)", two, flags=re.M)
    assert named == ["demo", "test"]
    assert set(named) <= set(verbs)


def test_every_page_that_it_names_is_there() -> None:
    pages = re.findall(r"\]\(([^)#]+)\)", README)
    assert pages
    missing = [page for page in pages if not (ROOT / page).exists()]
    assert missing == []
