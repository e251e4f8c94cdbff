"""What an agent in Python needs beside the `wit_world` that componentize-py generates.

import akshi

def answer(task: akshi.Task) -> str:
    akshi.journal.append("seen", task.text)
    return "hello"

WitWorld = akshi.agent(answer)

Every host function is here, with Python's own types; docs/spec/agent-abi.md says what each does.
What the node refuses is a `Fault`: catch it and go on, or let it end the task.
"""

import base64
import json
from collections.abc import Callable, Sequence

from akshi_values import (
    Charge,
    Ended,
    Entry,
    Fault,
    File,
    GiveUp,
    Json,
    Parts,
    Reply,
    Response,
    Rows,
    Task,
    ToolAnswer,
    Value,
    joined,
)
from componentize_py_types import Err
from wit_world.imports import a2a as _a2a
from wit_world.imports import database as _database
from wit_world.imports import filesystem as _filesystem
from wit_world.imports import http_fetch as _http_fetch
from wit_world.imports import inference as _inference
from wit_world.imports import journal as _journal
from wit_world.imports import mcp as _mcp
from wit_world.imports import spend as _spend
from wit_world.imports import task as _task

__all__ = [
    "Charge",
    "Ended",
    "Entry",
    "Fault",
    "File",
    "GiveUp",
    "Json",
    "Parts",
    "Reply",
    "Response",
    "Rows",
    "Task",
    "ToolAnswer",
    "Value",
    "a2a",
    "agent",
    "database",
    "filesystem",
    "http",
    "inference",
    "journal",
    "mcp",
    "spend",
    "task",
]


def agent(answer: Callable[[Task], str | Parts]) -> type:
    """The class that componentize-py looks for, around a function from task to text or parts.

    A fault that `answer` does not catch fails the task with its code and reason. Any other
    exception is a bug and traps.
    """

    class WitWorld:
        def run(self, task: str) -> str:
            try:
                return json.dumps(_parts(answer(Task.parse(task))))
            except (GiveUp, Fault) as failure:
                raise Err(str(failure)) from failure
            except Err as refusal:
                raise Err(str(_fault(refusal))) from refusal

    return WitWorld


class inference:
    """Ask a language model."""

    @staticmethod
    def prompt(
        prompt: str | Sequence[tuple[str, str]],
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> Reply:
        """`prompt`: a text, or (role, content) pairs; roles are system, user, assistant."""
        if isinstance(prompt, str):
            request: Json = {"prompt": prompt}
        else:
            request = {"messages": [{"role": role, "content": text} for role, text in prompt]}
        more = {"model": model, "max_tokens": max_tokens, "temperature": temperature}
        request |= {key: value for key, value in more.items() if value is not None}
        if stop:
            request["stop"] = list(stop)
        answer = json.loads(_call(_inference.prompt, json.dumps(request)))
        used = answer.get("usage") or {}
        return Reply(
            answer["text"],
            answer["model"],
            answer["finish"],
            used.get("tokens_in"),
            used.get("tokens_out"),
            answer.get("cost"),
        )


class journal:
    """The agent's own append-only journal."""

    @staticmethod
    def append(tag: str, text: str) -> str:
        """Returns the entry's id. Others see it when the task has ended well."""
        return str(json.loads(_call(_journal.append, tag, text))["id"])

    @staticmethod
    def read(after: str = "", limit: int = 100) -> tuple[list[Entry], str | None]:
        """Entries in order, and where to go on: the next `after`, or None at the end."""
        answer = json.loads(_call(_journal.read, after, limit))
        return [Entry.read(entry) for entry in answer["entries"]], answer["next"]

    @staticmethod
    def search(query: str, limit: int = 10) -> list[Entry]:
        """By keyword, best first."""
        answer = json.loads(_call(_journal.search, query, limit))
        return [Entry.read(entry) for entry in answer["entries"]]

    @staticmethod
    def find(query: str, *, mode: str = "hybrid", limit: int = 10) -> list[Entry]:
        """`mode`: keyword, vector or hybrid."""
        request = json.dumps({"query": query, "mode": mode, "limit": limit})
        answer = json.loads(_call(_journal.find, request))
        return [Entry.read(entry) for entry in answer["entries"]]


class database:
    """The agent's own SQLite database; what a task changes commits when it ends well."""

    @staticmethod
    def query(sql: str, *parameters: Value) -> Rows:
        return _rows(_call(_database.query, sql, _values(parameters)))

    @staticmethod
    def execute(sql: str, *parameters: Value) -> Rows:
        return _rows(_call(_database.execute, sql, _values(parameters)))


class http:
    """One outbound HTTP request."""

    @staticmethod
    def fetch(
        url: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: str | bytes | None = None,
        timeout_ms: int | None = None,
        payment: str | None = None,
    ) -> Response:
        request: Json = {"url": url, "method": method}
        if headers:
            request["headers"] = headers
        if isinstance(body, bytes):
            request["body_base64"] = _base64(body)
        elif body is not None:
            request["body"] = body
        more = {"timeout_ms": timeout_ms, "payment": payment}
        request |= {key: value for key, value in more.items() if value is not None}
        answer = json.loads(_call(_http_fetch.fetch, json.dumps(request)))
        return Response(
            answer["status"],
            answer["headers"],
            _bytes(answer, "body", "body_base64"),
            answer["url"],
            answer.get("payment_required"),
        )


class a2a:
    """Tasks for other agents, on this node or another."""

    @staticmethod
    def send(target: str, message: str | Parts) -> str:
        """`target`: did:key:…/agent, petname/agent or self/agent. Returns the new task's id."""
        return _call(_a2a.send, target, json.dumps(_parts(message)))

    @staticmethod
    def wait(ids: Sequence[str], timeout_ms: int) -> Ended | None:
        """The first of these tasks that has ended, or None when time is up."""
        task = json.loads(_call(_a2a.wait, json.dumps(list(ids)), timeout_ms))
        if task is None:
            return None
        artifacts, status = task.get("artifacts") or [{}], task["status"]
        said = (status.get("message") or {}).get("parts", [])
        return Ended(task["id"], status["state"], artifacts[0].get("parts", []), joined(said))

    @staticmethod
    def cancel(task_id: str) -> None:
        _call(_a2a.cancel, task_id)


class mcp:
    """Tools of MCP servers."""

    @staticmethod
    def list_tools(server: str) -> tuple[list[Json], list[Json]]:
        """The tools that may be called, and those that may not (`name`, `why`)."""
        answer = json.loads(_call(_mcp.list_tools, server))
        return answer["tools"], answer["refused"]

    @staticmethod
    def call_tool(server: str, tool: str, arguments: Json) -> ToolAnswer:
        text = _call(_mcp.call_tool, server, tool, json.dumps(arguments))
        answer = json.loads(text)
        structured = answer.get("structuredContent")
        return ToolAnswer(answer["content"], answer.get("isError", False), structured)


class filesystem:
    """Read files below the allowed paths."""

    @staticmethod
    def list_files(
        path: str = "", *, after: str = "", limit: int = 1000
    ) -> tuple[list[File], str | None]:
        """One directory, and the name after which to go on; the empty path lists the shelves."""
        answer = json.loads(_call(_filesystem.list_files, path, after, limit))
        files = [File(one["name"], one["kind"], one["bytes"]) for one in answer["files"]]
        return files, answer["next"]

    @staticmethod
    def read_file(path: str) -> bytes:
        answer = json.loads(_call(_filesystem.read_file, path))
        return _bytes(answer, "text", "base64")


class spend:
    """Money, in integer micro-units. Answers are objects as docs/spec/agent-abi.md shows them."""

    @staticmethod
    def balance() -> Json:
        return dict(json.loads(_call(_spend.balance)))

    @staticmethod
    def quote(charge: Charge) -> Json:
        return dict(json.loads(_call(_spend.quote, str(charge))))

    @staticmethod
    def charge(charge: Charge) -> Json:
        return dict(json.loads(_call(_spend.charge, str(charge))))


class task:
    """The task itself: reaches nothing but the task, always allowed."""

    @staticmethod
    def progress(text: str) -> None:
        _call(_task.progress, text)

    @staticmethod
    def is_cancelled() -> bool:
        return _call(_task.is_cancelled) == "true"

    @staticmethod
    def log(level: str, text: str) -> None:
        """`level`: debug, info, warning or error."""
        _call(_task.log, level, text)

    @staticmethod
    def now() -> int:
        """Milliseconds since 1970; the same in every attempt of a task."""
        return int(_call(_task.now))

    @staticmethod
    def random(count: int) -> bytes:
        return bytes.fromhex(_call(_task.random, count))


def _call(function: Callable[..., str], *arguments: object) -> str:
    try:
        return function(*arguments)
    except Err as refusal:
        raise _fault(refusal) from refusal


def _fault(refusal: Err) -> Fault:
    fault = refusal.value
    return Fault(fault.code.name.lower().replace("_", "-"), fault.why)


def _parts(message: str | Parts) -> Parts:
    return [{"text": message}] if isinstance(message, str) else message


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(answer: Json, text: str, encoded: str) -> bytes:
    if encoded in answer:
        return base64.b64decode(answer[encoded])
    return str(answer.get(text, "")).encode()


def _values(parameters: Sequence[Value]) -> str:
    return json.dumps([{"base64": _base64(v)} if isinstance(v, bytes) else v for v in parameters])


def _rows(text: str) -> Rows:
    answer = json.loads(text)
    rows = [
        [base64.b64decode(v["base64"]) if isinstance(v, dict) else v for v in row]
        for row in answer.get("rows", [])
    ]
    changed = answer.get("changes", 0), answer.get("last_row_id", 0)
    return Rows(answer.get("columns", []), rows, *changed)
