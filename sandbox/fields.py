"""Which fields of a call are judged for risk: every word of a guest that could matter has one.

A field names what is there, not what it says: the value itself is a field only where it
comes from a short list, such as a method. Names that a guest may choose freely, such as
headers and arguments of tools, are fields of their own, so that the unknown ones are high.
"""

import re
from typing import Final

from sandbox.capability import Capability
from sandbox.fetch import FetchRequest
from sandbox.mcp_server import CallTool
from sandbox.prompt import Prompt
from sandbox.request import Request

# One key of a path of `sandbox.mcp_server.fields_of`: plain, or quoted with whatever it holds.
_KEY: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^."\[\]]+')


def fields_of(request: Request) -> tuple[str, ...]:
    """The fields of what the guest asked for; none where it reaches nothing but its task.

    What only the node knows (whether a model is local, a secret would be put in) it adds.
    """
    capability = request.function.capability
    match request.wish:
        case FetchRequest() as wish:
            return _of_fetch(wish)
        case Prompt() as wish:
            return wish.fields
        case CallTool(server, tool, _, fields):
            return (f"mcp.tool.{server}/{tool}", *_of_arguments(fields))
        case _ if capability is None:
            return ()
        case _:
            return (_plain_name(capability, request.function.name),)


def _plain_name(capability: Capability, function: str) -> str:
    return f"{capability.value}.{function.partition('.')[2]}"


def _of_fetch(wish: FetchRequest) -> tuple[str, ...]:
    fields = ["http_fetch.url", f"http_fetch.method.{wish.method}"]
    fields += [f"http_fetch.headers.{name.lower()}" for name, _ in wish.headers]
    if wish.url.query:
        fields.append("http_fetch.query")
    if wish.body:
        fields.append("http_fetch.body")
    if wish.payment is not None:
        fields.append("http_fetch.payment")
    return tuple(fields)


def _of_arguments(paths: tuple[str, ...]) -> list[str]:
    """Every key of every path, alone: nesting and arrays hide nothing, and a dot is no nesting."""
    return sorted({f"mcp.arguments.{key}" for path in paths for key in _KEY.findall(path)})
