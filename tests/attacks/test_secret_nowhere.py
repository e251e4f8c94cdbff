"""A planted credential is used by a real node, and is then looked for wherever it could lie.

A loopback server echoes it in every spelling to a real, jailed agent. Afterwards it is in the
server's log and in the sealed box, and nowhere else: not in the agent's answer or memory, the
task, the log, the audit log, the answers of the API, the command lines, or any file of the home.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.promises import world
from tests.promises.test_no_secret import found_in
from tests.promises.world import Node, agent

SECRET = "sk-planted/4f+9Kq7Zx=Q1w2e3r4T5"
ROTATED = "sk-rotated/5g+0Lr8Ay=R2x3f4s5U6"
IS_ROOT = os.geteuid() == 0


def spelled(secret: str, *, cut: int = 0) -> dict[str, bytes]:
    """How an honest server writes it; `cut` where base64 shares letters with its neighbours."""
    data = secret.encode()
    found = {"raw": data, "hex": data.hex().encode(), "percent": quote(secret, safe="").encode()}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        found[f"base64 {shift}"] = encoded[cut : len(encoded) - cut]
    return found


@dataclass
class Echo:
    """A server that says back who one is, in every way."""

    port: int = 0
    seen: list[str] = field(default_factory=list)


@dataclass
class Scene:
    node: Node
    echo: Echo
    typed: list[str] = field(default_factory=list)

    def fetch(self, path: str = "/v1/me") -> str:
        """What the agent answers after it has fetched."""
        request = json.dumps({"url": f"http://127.0.0.1:{self.echo.port}{path}"})
        done = self.node.ask("self/caller", json.dumps([["http-fetch.fetch", request]]))
        return json.dumps(done)


def serve(echo: Echo) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            came = self.headers.get("Authorization", "")
            echo.seen.append(came)
            value = came.removeprefix("Bearer ")
            body = b"\n".join([came.encode(), *spelled(value or "nobody").values()])
            self.send_response(200, "you are")
            self.send_header("X-Echo", value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    echo.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def cli(node: Node, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """A command in a process of its own, as a person's shell starts it."""
    command = [sys.executable, "-m", "akshi_mesh", *arguments, "--home", str(node.home)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    echo = Echo()
    server = serve(echo)
    with world.directory() as directory:
        place = f"http://127.0.0.1:{echo.port}"
        config = agent("caller", world.HOSTILE / "caller.wasm", capabilities=["http_fetch"])
        config += f'[agents.endpoints]\nallowed = ["private {place}"]\n'
        config += "[agents.approval]\nhttp_fetch = false\n"
        node = world.node(directory, "host", config)
        with world.running(node):
            scene = Scene(node, echo)
            for secret, verb in ((ROTATED, "set"), (SECRET, "rotate")):
                options = ["--endpoint", f"{place}/v1"] if verb == "set" else []
                done = cli(
                    node, "secrets", verb, "token", *options, "--debug", stdin=secret.encode()
                )
                assert done.returncode == 0, done
                scene.typed.append((done.stdout + done.stderr).decode())
            yield scene
    server.shutdown()
    server.server_close()


def assert_nowhere(text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    for secret in (SECRET, ROTATED):
        for how, spelling in spelled(secret, cut=4).items():
            assert spelling not in data, how
            # A JSON text inside a JSON text.
            assert json.dumps(spelling.decode())[1:-1].encode() not in data, how


def test_the_server_gets_it_and_the_agent_does_not(scene: Scene) -> None:
    told = scene.fetch()
    assert scene.echo.seen[-1] == f"Bearer {SECRET}"
    assert "[redacted]" in told
    assert_nowhere(told)


def test_an_agent_is_told_of_a_refusal_without_it(scene: Scene) -> None:
    scene.node.must("secrets", "revoke", "token", "--agent", "caller")
    before = len(scene.echo.seen)
    told = scene.fetch()
    scene.node.must("secrets", "restore", "token")
    assert len(scene.echo.seen) == before
    assert "not-allowed" in told.replace("_", "-")
    assert "revoked" in told
    assert_nowhere(told)


@pytest.mark.skipif(not IS_ROOT, reason="only root may read the memory of undumpable processes")
def test_it_is_not_in_the_memory_of_the_agent_or_of_the_zygote(scene: Scene) -> None:
    scene.fetch()
    planted = {"new": SECRET.encode(), "old": ROTATED.encode()}
    assert found_in(scene.node.pid, planted) == {"new", "old"}, "the scan finds what is there"
    (zygote,) = world.children(scene.node.pid)
    for process in (zygote, *scene.node.workers()):
        assert found_in(process, planted) == set()


def test_it_is_in_no_log_and_in_no_answer_of_the_command_line(scene: Scene) -> None:
    scene.fetch()
    said = [*scene.typed, *scene.node.process.said]
    for words in (
        ("secrets", "list"),
        ("status",),
        ("audit", "tail", "-n", "1000"),
        ("task", "list"),
        ("agents", "list"),
        ("config", "check"),
    ):
        for option in ((), ("--json",)):
            done = scene.node.type(*words, *option)
            said.append(done.out + done.err)
    assert_nowhere("\n".join(said))


def test_every_use_is_in_the_audit_log(scene: Scene) -> None:
    scene.fetch()
    lines = scene.node.must("audit", "tail", "-n", "1000", "--json").objects
    codes = [line["code"] for line in lines if line["event"] == "secret"]
    assert {"set", "rotated", "used", "redacted"} <= set(codes)


def test_it_is_in_no_file_of_the_home(scene: Scene) -> None:
    """Not in the box, which is sealed, nor in the database, its log, the cache or a leftover."""
    scene.fetch()
    files = [path for path in scene.node.home.rglob("*") if path.is_file()]
    assert {"secrets.box", "node.db"} <= {path.name for path in files}
    for path in files:
        assert_nowhere(path.read_bytes())


def test_it_is_in_no_command_line_and_no_environment(scene: Scene) -> None:
    """While the value is being typed: `ps` shows what every process was started with."""
    home = str(scene.node.home)
    command = [sys.executable, "-m", "akshi_mesh", "secrets", "rotate", "token", "--home", home]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as typing:
        assert typing.stdin is not None
        typing.stdin.write(SECRET[:9].encode())
        typing.stdin.flush()
        time.sleep(0.2)
        shown = [seen_of(pid) for pid in (typing.pid, scene.node.pid, *scene.node.workers())]
        typing.stdin.write(SECRET[9:].encode())
        typing.stdin.close()
        shown += [seen_of(typing.pid)]
        assert typing.wait() == 0
    assert_nowhere(b"".join(shown))


def seen_of(pid: int) -> bytes:
    found = b""
    for name in ("cmdline", "environ"):
        try:
            found += Path(f"/proc/{pid}/{name}").read_bytes()
        except (PermissionError, FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("secrets", "set", "token", "--endpoint", "https://*.example"),
        ("secrets", "set", "other"),
        ("secrets", "set", "other", "--endpoint", "https://a.example", "--key", "keyring"),
        ("secrets", "rotate", "missing"),
        ("secrets", "set", "a/b", "--endpoint", "https://a.example"),
    ],
)
@pytest.mark.parametrize("value", [SECRET + "\nX-Evil: 1", SECRET + "\u00e4"], ids=["lines", "ä"])
def test_a_refused_value_is_not_repeated_even_by_a_traceback(
    scene: Scene, arguments: tuple[str, ...], value: str
) -> None:
    done = cli(scene.node, *arguments, "--debug", stdin=value.encode())
    assert done.returncode not in {0, 1}, done
    assert_nowhere(done.stdout + done.stderr)
    assert_nowhere("\n".join(scene.node.process.said))


def test_a_value_on_the_command_line_is_no_way_to_set_it(scene: Scene) -> None:
    done = cli(scene.node, "secrets", "set", "token", SECRET, "--endpoint", "https://a.example")
    assert done.returncode == 2
    done = cli(scene.node, "secrets", "set", "token", "--value", SECRET)
    assert done.returncode == 2
