"""One host call of a guest, read once: what it asks for, and the hash it is known by.

Whoever checks and whoever acts use the same parsed value, so they cannot differ.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox import guest_json
from sandbox.agent_address import AgentAddress, address_of
from sandbox.capability import FUNCTIONS, Function, Parameter
from sandbox.charge import Charge, Quote, read_charge, read_quote
from sandbox.errors import (
    MalformedAgentAddress,
    MalformedJson,
    MalformedPath,
    MalformedRequest,
    MalformedUrl,
    ProtocolBroken,
)
from sandbox.fetch import FetchRequest, read_fetch
from sandbox.find import FindEntries, read_find
from sandbox.guest_path import GuestPath
from sandbox.mcp_server import CallTool, ListTools, read_call_tool, read_list_tools
from sandbox.prompt import Prompt, read_prompt
from sandbox.sql import Statement, read_statement

ARGUMENTS_BYTES_MAX = 1 << 20
TAG_CHARS_MAX = 64
TEXT_BYTES_MAX = 48 * 1024  # of an entry or a progress text: one envelope holds it
LOG_CHARS_MAX = 2_048
LOG_LEVELS = ("debug", "info", "warning", "error")
RANDOM_BYTES_MAX = 4_096
ENTRIES_MAX = 1_000  # of one read; the answer has its own limit in bytes
HITS_MAX = 100
QUERY_CHARS_MAX = 1_024
CURSOR_CHARS_MAX = 4_096
FILES_MAX = 1_000
WAIT_MS_MAX = 7 * 24 * 3_600_000  # no task lives longer


@dataclass(frozen=True, slots=True)
class AppendEntry:
    tag: str
    text: str


@dataclass(frozen=True, slots=True)
class ReadEntries:
    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class SearchEntries:
    query: str
    limit: int


@dataclass(frozen=True, slots=True)
class SendTask:
    target: AgentAddress
    parts_json: str


@dataclass(frozen=True, slots=True)
class WaitForTasks:
    ids: tuple[str, ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class CancelTask:
    id: str


@dataclass(frozen=True, slots=True)
class ListFiles:
    path: GuestPath
    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class ReadFile:
    path: GuestPath


@dataclass(frozen=True, slots=True)
class ReportProgress:
    text: str


@dataclass(frozen=True, slots=True)
class AskCancelled:
    pass


@dataclass(frozen=True, slots=True)
class WriteLog:
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class TellTime:
    pass


@dataclass(frozen=True, slots=True)
class DrawRandom:
    count: int


@dataclass(frozen=True, slots=True)
class RunSql:
    """One statement; whether it may write is the function's to say."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class AskBalance:
    pass


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Arguments of the right types that mean nothing. Refused only after the capability."""

    why: str


Wish = (
    AppendEntry
    | ReadEntries
    | SearchEntries
    | FindEntries
    | SendTask
    | WaitForTasks
    | CancelTask
    | ListFiles
    | ReadFile
    | RunSql
    | FetchRequest
    | AskBalance
    | Quote
    | Charge
    | Prompt
    | ListTools
    | CallTool
    | ReportProgress
    | AskCancelled
    | WriteLog
    | TellTime
    | DrawRandom
    | Unreadable
)


@dataclass(frozen=True, slots=True)
class Request:
    """The call with this number of one task."""

    number: int
    function: Function
    wish: Wish
    hash: bytes
    arguments: tuple[str | int, ...] = ()

    @property
    def target(self) -> str:
        """What the call is aimed at, for the record; empty where there is nothing to name."""
        match self.wish:
            case SendTask(target, _):
                return str(target)
            case ListFiles(path) | ReadFile(path):
                return str(path)
            case CancelTask(id):
                return id
            case FetchRequest() as wish:
                return f"{wish.method} {wish.url}"
            case Charge(cost) | Quote(cost):
                return f"{cost.money} to {cost.payee} by {cost.rail}"
            case ListTools(server):
                return server
            case CallTool(server, tool):
                return f"{server}/{tool}"
            case _:
                return ""


def read_request(number: int, name: str, arguments: Sequence[str | int]) -> Request:
    """Read what a worker sent.

    Raises:
        ProtocolBroken: no such function, or arguments that a correct worker cannot have
            got from a guest. What a guest may get wrong is `Unreadable`, not an error.
    """
    function = FUNCTIONS.get(name)
    if function is None:
        raise ProtocolBroken(why=f"called {name[:80]!r}, which does not exist")
    if len(arguments) != len(function.parameters):
        raise ProtocolBroken(why=f"{name} called with {len(arguments)} arguments")
    digest = hashlib.sha256(b"akshi-mesh/host-call/1\0" + name.encode())
    size = 0
    for argument, parameter in zip(arguments, function.parameters, strict=True):
        if parameter is Parameter.TEXT and type(argument) is str:
            data = argument.encode()
            size += len(data)
            digest.update(b"t%d:" % len(data))
            digest.update(data)
        elif parameter is Parameter.U32 and type(argument) is int and 0 <= argument < 1 << 32:
            digest.update(b"u%d:" % argument)
        else:
            raise ProtocolBroken(why=f"{name} called with an argument of a wrong type")
    wish = _read(function, arguments, size)
    return Request(number, function, wish, digest.digest(), tuple(arguments))


def _read(function: Function, arguments: Sequence[str | int], size: int) -> Wish:
    if size > ARGUMENTS_BYTES_MAX:
        return Unreadable(f"arguments over {ARGUMENTS_BYTES_MAX} bytes")
    try:
        return _READERS[function.name](*arguments)
    except (MalformedPath, MalformedAgentAddress, MalformedUrl) as malformed:
        return Unreadable(str(malformed))
    except (MalformedRequest, MalformedJson) as malformed:
        return Unreadable(malformed.why)


def _at_most(name: str, text: str, limit: int) -> str:
    if len(text) > limit:
        raise MalformedRequest(name, why=f"{name} over {limit} characters")
    return text


def _entry_text(text: str) -> str:
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise MalformedRequest("text", why=f"text over {TEXT_BYTES_MAX} bytes")
    return text


def _from_one(name: str, number: int, limit: int) -> int:
    if not 1 <= number <= limit:
        raise MalformedRequest(name, why=f"want {name} from 1 to {limit}")
    return number


def _log(level: str, text: str) -> WriteLog:
    if level not in LOG_LEVELS:
        raise MalformedRequest("level", why=f"want one of {', '.join(LOG_LEVELS)}")
    return WriteLog(level, text[:LOG_CHARS_MAX])


def _run_sql(sql: str, parameters: str) -> RunSql:
    return RunSql(read_statement(sql, parameters))


_READERS: dict[str, Callable[..., Wish]] = {
    "journal.append": lambda tag, text: AppendEntry(
        _at_most("tag", tag, TAG_CHARS_MAX), _entry_text(text)
    ),
    "journal.read": lambda after, limit: ReadEntries(
        _at_most("after", after, CURSOR_CHARS_MAX), _from_one("limit", limit, ENTRIES_MAX)
    ),
    "journal.search": lambda query, limit: SearchEntries(
        _at_most("query", query, QUERY_CHARS_MAX), _from_one("limit", limit, HITS_MAX)
    ),
    "journal.find": read_find,
    "inference.prompt": read_prompt,
    "a2a.send": lambda target, parts: SendTask(address_of(target), guest_json.read_parts(parts)),
    "a2a.wait": lambda ids, timeout_ms: WaitForTasks(
        guest_json.read_ids(ids), min(timeout_ms, WAIT_MS_MAX)
    ),
    "a2a.cancel": lambda id: CancelTask(guest_json.check_id(id)),
    "filesystem.list-files": lambda path, after, limit: ListFiles(
        GuestPath.parse(path),
        _at_most("after", after, CURSOR_CHARS_MAX),
        _from_one("limit", limit, FILES_MAX),
    ),
    "filesystem.read-file": lambda path: ReadFile(GuestPath.parse(path)),
    "database.query": _run_sql,
    "database.execute": _run_sql,
    "http-fetch.fetch": read_fetch,
    "spend.balance": AskBalance,
    "spend.quote": read_quote,
    "spend.charge": read_charge,
    "mcp.list-tools": read_list_tools,
    "mcp.call-tool": read_call_tool,
    "task.progress": lambda text: ReportProgress(_entry_text(text)),
    "task.is-cancelled": AskCancelled,
    "task.log": _log,
    "task.now": TellTime,
    "task.random": lambda count: DrawRandom(_from_one("bytes", count, RANDOM_BYTES_MAX)),
}
