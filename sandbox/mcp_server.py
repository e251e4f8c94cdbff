"""One MCP server of an agent as its owner configured it, and one call of a tool, read once.

A server is a program of its own (`argv`), which runs in a jail, or an address (`url`).
A tool may be called only if `tools` names it; what the guest hands to it is read so
strictly that no argument hides from the table of risks: each has one path, in one
spelling, and two keys that differ by case or alphabet only are refused.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from sandbox import guest_json
from sandbox.errors import MalformedMcpServer, MalformedRequest

# As an agent's: a name is a word in a log line and in `AGENT/SERVER` at once.
SERVER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
# What the MCP specification asks of tool names (2025-11-25, server/tools), but for a leading
# dot. ASCII only, so no other alphabet can imitate a name.
TOOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
_TOOL_PATTERN = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_./*-]{0,127}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_URL = re.compile(r"https?://[\x21-\x7e]{1,2040}")
_PLAIN_KEY = re.compile(r"[a-z0-9_-]+")

SERVERS_MAX = 16  # of one agent; each may be a process
ARGUMENTS_MAX = 64  # words of an argv
ARGUMENT_CHARS_MAX = 4_096
TOOLS_MAX = 128
ENV_MAX = 32
STARS_MAX = 4  # in one pattern; each multiplies the places where it may fit
PATHS_MAX = 64
TIMEOUT_S_MAX = 3_600.0
MEMORY_MB_MAX = 16_384
PROCESSES_MAX = 1_024
FIELDS_MAX = 1_024  # paths of one call; whoever sends more has not thought of a reader
FIELD_CHARS_MAX = 512
# Variables that carry the node's own powers, and those that make a loader run other code.
_ENV_NEVER = re.compile(r"AKSHI_.*|LD_.*|PYTHON.*|CREDENTIALS_DIRECTORY", re.DOTALL)


@dataclass(frozen=True, slots=True)
class McpServerSpec:
    """What may be started or called under one name, and what it may touch.

    Every list is an allowlist: empty allows nothing.

    Attributes:
        argv: the program and its words; the first is an absolute path. Empty with a `url`.
        url: where a remote server listens (streamable HTTP). None with an `argv`.
        tools: names of tools, `*` stands for any run of characters.
        env: names of the node's environment variables that the program gets.
        read: absolute paths it may read, beside the system's libraries and its program.
        write: absolute paths it may change, too.
        network: whether it may make TCP and UDP connections.
        timeout_s: what one call may take.
        memory_mb: private memory of each of its processes.
        processes: processes and threads of it at once.
    """

    name: str
    argv: tuple[str, ...] = ()
    url: str | None = None
    tools: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    network: bool = False
    timeout_s: float = 30.0
    memory_mb: int = 512
    processes: int = 64

    def __post_init__(self) -> None:
        if not SERVER_NAME.fullmatch(self.name):
            raise self._malformed(
                "name", "want 1 to 64 letters, digits, _, . or -, not starting with . or -"
            )
        if bool(self.argv) == (self.url is not None):
            raise self._malformed("argv", "want either an argv or a url")
        self._check_program()
        if self.url is not None and not _URL.fullmatch(self.url):
            raise self._malformed("url", "want https://host/path in plain characters")
        self._check_list("tools", self.tools, TOOLS_MAX, _TOOL_PATTERN)
        if any(pattern.count("*") > STARS_MAX for pattern in self.tools):
            raise self._malformed("tools", f"more than {STARS_MAX} * in a pattern")
        self._check_list("env", self.env, ENV_MAX, _ENV_NAME)
        for name in self.env:
            if _ENV_NEVER.fullmatch(name):
                raise self._malformed("env", f"{name} is never handed to a program")
        for key, paths in (("read", self.read), ("write", self.write)):
            self._check_paths(key, paths)
        # Written so that a NaN fails it too.
        if not 0.1 <= self.timeout_s <= TIMEOUT_S_MAX:
            raise self._malformed("timeout_s", f"want 0.1 to {TIMEOUT_S_MAX:g} seconds")
        if not 16 <= self.memory_mb <= MEMORY_MB_MAX:
            raise self._malformed("memory_mb", f"want 16 to {MEMORY_MB_MAX}")
        if not 1 <= self.processes <= PROCESSES_MAX:
            raise self._malformed("processes", f"want 1 to {PROCESSES_MAX}")

    def allows(self, tool: str) -> bool:
        """Whether `tools` names `tool`.

        >>> spec = McpServerSpec("files", argv=("/bin/server",), tools=("read_*",))
        >>> spec.allows("read_file"), spec.allows("write_file")
        (True, False)
        """
        return bool(TOOL_NAME.fullmatch(tool)) and any(
            re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tool)
            for pattern in self.tools
        )

    def names(self, tool: str) -> bool:
        """Whether `tools` has this very name, and not only a pattern that fits."""
        return tool in self.tools

    def _check_program(self) -> None:
        if len(self.argv) > ARGUMENTS_MAX:
            raise self._malformed("argv", f"more than {ARGUMENTS_MAX} words")
        for word in self.argv:
            if "\0" in word or len(word) > ARGUMENT_CHARS_MAX:
                raise self._malformed("argv", "a word is too long or holds a NUL")
        if self.argv and not _is_absolute(self.argv[0]):
            raise self._malformed("argv", f"want the path of a program, not {self.argv[0][:80]!r}")
        if self.url is not None and (self.env or self.read or self.write or self.network):
            raise self._malformed("url", "env, read, write and network are for an argv")

    def _check_list(
        self, key: str, entries: tuple[str, ...], limit: int, form: re.Pattern[str]
    ) -> None:
        if len(entries) > limit:
            raise self._malformed(key, f"more than {limit} entries")
        for entry in entries:
            if not form.fullmatch(entry):
                raise self._malformed(key, f"{entry[:80]!r} is no such name")

    def _check_paths(self, key: str, paths: tuple[str, ...]) -> None:
        if len(paths) > PATHS_MAX:
            raise self._malformed(key, f"more than {PATHS_MAX} paths")
        for path in paths:
            if not _is_absolute(path):
                raise self._malformed(key, f"want an absolute path, not {path[:80]!r}")
            if len(PurePosixPath(path).parts) == 1:
                raise self._malformed(key, "/ is everything")

    def _malformed(self, key: str, why: str) -> MalformedMcpServer:
        return MalformedMcpServer(self.name, key=key, why=why)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and ".." not in PurePosixPath(path).parts


@dataclass(frozen=True, slots=True)
class CallTool:
    """One call of a tool.

    Attributes:
        arguments_json: the object in its one compact form; these bytes are sent.
        fields: the path of every value, sorted; see `fields_of`.
    """

    server: str
    tool: str
    arguments_json: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListTools:
    """Ask a server for its tools."""

    server: str


def read_list_tools(server: str) -> ListTools:
    """What a guest asked for.

    Raises:
        MalformedRequest: not the name of a server.
    """
    return ListTools(_named("server", server, SERVER_NAME))


def read_call_tool(server: str, tool: str, arguments_json: str) -> CallTool:
    """What a guest asked for.

    Raises:
        MalformedRequest: a name that no server or tool can have, or arguments that are no
            object, or in which two keys are one to a careless reader.
        MalformedJson: arguments that are not strict JSON.
    """
    _named("server", server, SERVER_NAME)
    _named("tool", tool, TOOL_NAME)
    arguments = guest_json.read(arguments_json)
    if not isinstance(arguments, dict):
        raise MalformedRequest("arguments", why="the arguments of a tool are an object")
    return CallTool(server, tool, guest_json.write(arguments), fields_of(arguments))


def fields_of(arguments: dict[str, object]) -> tuple[str, ...]:
    """The paths of all values below `arguments`, sorted, each once.

    A path is folded to lower case and joined by dots; `[]` stands for every place of an
    array. A key that is not plain is quoted, so that no key looks like two. An empty
    object or array has a path, too.

    >>> fields_of({"To": [{"name": "x"}, {"name": "y"}], "a.b": 1})
    ('"a.b"', 'to[].name')

    Raises:
        MalformedRequest: two keys of one object are the same when folded, or there are more
            paths than FIELDS_MAX or longer ones than FIELD_CHARS_MAX.
    """
    found: set[str] = set()
    waiting: list[tuple[str, object]] = [("", arguments)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{path}.{key}" if path else key, below) for key, below in _folded(value)]
        elif isinstance(value, list) and value:
            waiting += [(f"{path}[]", below) for below in value]
        elif path:
            found.add(path)
        if len(path) > FIELD_CHARS_MAX:
            raise MalformedRequest("arguments", why="an argument with a path that is too long")
        if len(found) > FIELDS_MAX:
            raise MalformedRequest("arguments", why=f"more than {FIELDS_MAX} different arguments")
    return tuple(sorted(found))


def _folded(table: dict[str, object]) -> list[tuple[str, object]]:
    names: dict[str, object] = {}
    for key, value in table.items():
        folded = fold(key)
        name = folded if _PLAIN_KEY.fullmatch(folded) else guest_json.write(folded)
        if name in names:
            raise MalformedRequest("arguments", why="two keys that differ by their spelling only")
        names[name] = value
    return list(names.items())


def fold(text: str) -> str:
    """`text` as a careless reader sees it: without case, width and invisible characters."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in plain if unicodedata.category(c) not in ("Cc", "Cf")).strip()


def _named(what: str, name: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(name):
        raise MalformedRequest(what, why=f"{name[:80]!r} is not the name of a {what}")
    return name
