"""`[[agents.mcp_servers]]` as it is written."""

import tomllib

import pytest

from akshi_mesh.config.lines import key_lines
from akshi_mesh.config.read_mcp import read_mcp_servers
from akshi_mesh.config.section import Report, Section
from sandbox.mcp_server import McpServerSpec


class Disk:
    def place(self, written: str) -> str:
        return written if written.startswith("/") else f"/base/{written}"

    def is_file(self, path: str) -> bool:
        return path.endswith(".py")

    def is_directory(self, path: str) -> bool:
        return path == "/base/data"


def read(text: str) -> tuple[tuple[McpServerSpec, ...], Report]:
    report = Report("runtime.toml", key_lines(text))
    agent = Section(report, (), tomllib.loads(text))
    found = read_mcp_servers(agent, Disk())
    agent.close()
    return found, report


def test_a_whole_server() -> None:
    servers, report = read("""
[[mcp_servers]]
name = "files"
argv = ["venv/bin/python", "server.py"]
tools = ["read_*"]
env = ["LANG"]
read = ["server.py", "gone"]
write = ["data"]
network = true
timeout_secs = 5
memory_mb = 64
processes = 8
""")
    assert servers == (
        McpServerSpec(
            "files",
            argv=("/base/venv/bin/python", "server.py"),
            tools=("read_*",),
            env=("LANG",),
            read=("/base/server.py", "/base/gone"),
            write=("/base/data",),
            network=True,
            timeout_s=5.0,
            memory_mb=64,
            processes=8,
        ),
    )
    assert not report.problems
    assert [str(note) for note in report.notes] == ["runtime.toml line 7: nothing at /base/gone"]


def test_a_remote_server_without_tools_is_noted() -> None:
    servers, report = read('[[mcp_servers]]\nname = "far"\nurl = "https://example.org/mcp"\n')
    assert servers == (McpServerSpec("far", url="https://example.org/mcp"),)
    assert "an empty list blocks all" in str(report.notes[0])


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        ('name = "a b"\nargv = ["/x"]', 2, "want 1 to 64"),
        ('name = "x"', 1, "either an argv or a url"),
        ('name = "x"\nargv = ["npx"]', 3, "want the path of a program"),
        ('name = "x"\nargv = ["/x"]\nenv = ["AKSHI_HOME_DIR"]', 4, "never handed"),
        ('name = "x"\nargv = ["/x"]\nread = [""]', 4, "empty"),
        ('name = "x"\nargv = ["/x"]\nreed = []', 4, "did you mean 'read'"),
        ('name = "x"\ncommand = "x"\nargv = ["/x"]', 3, "write argv"),
        ('name = "x"\nargv = ["/x"]\ntimeout_secs = 0', 4, "0.1 to 3600"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(lines: str, line: int, why: str) -> None:
    _, report = read(f"[[mcp_servers]]\n{lines}\n")
    assert any(p.line == line and why in str(p) for p in report.problems), report.problems


def test_a_name_that_is_there_twice_is_wrong() -> None:
    server = '[[mcp_servers]]\nname = "{}"\nargv = ["/x"]\ntools = ["a"]\n'
    _, report = read(server.format("x") + server.format("X"))
    assert "there twice" in str(report.problems[0])


def test_there_are_not_endlessly_many() -> None:
    server = '[[mcp_servers]]\nname = "s{}"\nargv = ["/x"]\ntools = ["a"]\n'
    servers, report = read("".join(server.format(n) for n in range(17)))
    assert len(servers) == 16
    assert "more than 16" in str(report.problems[0])
