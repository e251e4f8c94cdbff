"""How messages reach a server and come back: pipes of a jailed program, or HTTP.

The SDK brings transports of its own. The one for programs starts them with the node's
rights and reads lines without end, so the pipes are read here.
"""

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import trio

from akshi_mesh.mcp.errors import ServerFailed
from akshi_mesh.mcp.strangers import first_of
from sandbox.errors import ProgramNotStarted
from sandbox.host.program import COMMAND, Level, Program, running
from sandbox.host.program_files import files_of
from sandbox.jail.policy import JailPolicy
from sandbox.mcp_server import McpServerSpec
from sandbox.outside import SecretsPort

if TYPE_CHECKING:
    import httpx2
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

# How a stream of anyio says that its other end is gone; trio's own are others.
Left: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
LINE_BYTES_MAX: Final = 2 << 20  # an answer of 1 MiB, with its escapes
SAID_CHARS_MAX: Final = 500  # of a line on standard error
_QUEUE: Final = 16  # messages; a server that sends more waits at its pipe
_READ_BYTES: Final = 64 << 10

Streams = tuple[Any, Any]  # the SDK's own, of messages it reads and messages it writes
Said = Callable[[str], None]
Client = Callable[[str, McpServerSpec], "AbstractAsyncContextManager[httpx2.AsyncClient]"]


def policy_of(
    spec: McpServerSpec, *, hidden: Sequence[str], environ: Mapping[str, str]
) -> JailPolicy:
    """What the program of `spec` may be and touch.

    Raises:
        ServerFailed: a variable it is to get is not set here.
    """
    missing = [name for name in spec.env if name not in environ]
    if missing:
        raise ServerFailed(spec.name, why=f"{missing[0]} is not set in the node's environment")
    return JailPolicy(
        argv=spec.argv,
        env=tuple((name, environ[name]) for name in spec.env),
        run=files_of(spec.argv[0]),
        read=spec.read,
        write=spec.write,
        hidden=tuple(hidden),
        network=spec.network,
        memory_bytes=spec.memory_mb << 20,
        processes=spec.processes,
    )


@asynccontextmanager
async def over_pipes(
    spec: McpServerSpec,
    policy: JailPolicy,
    level: Level,
    said: Said,
    ended: Callable[[], None],
    *,
    command: Sequence[str] = COMMAND,
) -> AsyncIterator[Streams]:
    """Start the program of `policy` and speak to it, one message a line.

    `said` gets the lines of its standard error; `ended` is called when it says no more.

    Raises:
        ServerFailed: it was not started.
    """
    from mcp.shared.message import SessionMessage

    to_us, reading = anyio.create_memory_object_stream[SessionMessage | Exception](_QUEUE)
    writing, to_it = anyio.create_memory_object_stream[SessionMessage](_QUEUE)
    with to_us, reading, writing, to_it:
        try:
            async with running(policy, level, command=command) as program:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_read_messages, program, to_us, ended)
                    nursery.start_soon(_write_messages, program, to_it)
                    nursery.start_soon(_read_complaints, program, said)
                    yield reading, writing
                    nursery.cancel_scope.cancel()
        except ProgramNotStarted as failure:
            raise ServerFailed(spec.name, why=failure.why) from failure


async def _read_messages(
    program: Program,
    to_us: "MemoryObjectSendStream[SessionMessage | Exception]",
    ended: Callable[[], None],
) -> None:
    """Lines become messages; whatever is none ends the session, as the end of the pipe does."""
    import mcp_types
    from mcp.shared.message import SessionMessage

    async with contextlib.AsyncExitStack() as at_the_end:
        at_the_end.callback(ended)
        at_the_end.enter_context(to_us)
        lines = await at_the_end.enter_async_context(
            contextlib.aclosing(_lines(program.stdout, LINE_BYTES_MAX))
        )
        async for line in lines:
            try:
                message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                return
            try:
                await to_us.send(SessionMessage(message))
            except Left:
                return


async def _write_messages(
    program: Program, to_it: "MemoryObjectReceiveStream[SessionMessage]"
) -> None:
    async for order in to_it:
        text = order.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            await program.stdin.send_all(text.encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # it has ended, and the reader finds the end of its pipe


async def _read_complaints(program: Program, said: Said) -> None:
    async with contextlib.aclosing(_lines(program.stderr, LINE_BYTES_MAX)) as lines:
        async for line in lines:
            said(line[: SAID_CHARS_MAX * 4].decode(errors="replace")[:SAID_CHARS_MAX])


async def _lines(stream: trio.abc.ReceiveStream, limit: int) -> AsyncGenerator[bytes, None]:
    """The lines of a pipe until its end, or until one is longer than `limit`."""
    buffer = bytearray()
    while True:
        try:
            piece = await stream.receive_some(_READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        if not piece:
            return
        looked = len(buffer)
        buffer += piece
        while (end := buffer.find(b"\n", looked)) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            looked = 0
            if line.strip():
                yield line
        if len(buffer) > limit:
            return


@asynccontextmanager
async def over_http(
    spec: McpServerSpec, client: "AbstractAsyncContextManager[httpx2.AsyncClient]"
) -> AsyncIterator[Streams]:
    """Speak to a server at `spec.url` through a client that says where it may connect."""
    import httpx2
    from mcp.client.streamable_http import StreamableHTTPError, streamable_http_client

    assert spec.url is not None, "a server with an argv is spoken to over pipes"
    try:
        async with client as http:
            async with streamable_http_client(
                spec.url, http_client=http, max_sse_event_size=LINE_BYTES_MAX
            ) as (reading, writing):
                yield reading, writing
    except* (httpx2.HTTPError, httpx2.StreamError, StreamableHTTPError) as failures:
        raise ServerFailed(spec.name, why=str(first_of(failures))) from failures
    except* Left as failures:
        raise ServerFailed(spec.name, why="the connection ended") from failures


def http_client(secrets: SecretsPort | None) -> Client:
    """What makes the guarded client for a server with a url; loaded when there is one."""

    def client(
        agent: str, spec: McpServerSpec
    ) -> "AbstractAsyncContextManager[httpx2.AsyncClient]":
        from akshi_mesh.mcp.http import guarded

        return guarded(secrets)(agent, spec)

    return client


def environment() -> Mapping[str, str]:
    """The node's own, of which a server gets what its configuration names."""
    return os.environ
