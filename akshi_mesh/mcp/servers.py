"""The MCP servers of all agents: started on first use, watched, and stopped with their agent.

    down ── first use ──▶ starting ── hello, tools, pins ──▶ up ── ended, stopped, timeout ──▶ down
     ▲                        └── failed ──▶ down, and not tried again for a while      │
     └──────────────────────────────────────────────────────────────────────────────────┘

A call that is cancelled, takes too long or is no longer allowed closes the server it was
made to: nothing that nobody waits for goes on.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, NoReturn, TypeVar

import structlog
import trio

from akshi_mesh.mcp.definitions import Definition, read_listing
from akshi_mesh.mcp.errors import ServerFailed, ToolRefused, UnknownServer
from akshi_mesh.mcp.pins import Pins
from akshi_mesh.mcp.session import Session, load_sdk, open_session
from akshi_mesh.mcp.strangers import Complaints, bounded, first_of, shown
from akshi_mesh.mcp.transports import Client, Left, Streams, over_http, over_pipes, policy_of
from sandbox import guest_json
from sandbox.agent_spec import AgentSpec
from sandbox.errors import ActFailed, AuditUnavailable, JailMissing, PortRefused
from sandbox.fault import FaultCode
from sandbox.host.program import COMMAND, NativeJail, probe, require
from sandbox.mcp_server import CallTool, ListTools, McpServerSpec
from sandbox.outside import SecretsPort, StillAllowed
from sync.errors import StoreError

log = structlog.get_logger()

START_S_MAX: Final = 30.0  # to say hello and list the tools; interpreters take seconds
LOOK_S: Final = 0.05  # between two looks at the kill switch; guess
BACKOFF_S: Final = (0.5, 60.0)  # first and longest pause after a failure; it doubles
STABLE_S: Final = 60.0  # a server that lasted so long has not crashed in a loop
# What the SDK stumbles over when a server is broken or hostile: its own errors and the
# standard ones of code that met a value it did not expect. Such a server is closed; it
# must not close the node.
_STUMBLES: Final = (
    *(ServerFailed, JailMissing, AuditUnavailable, PortRefused, StoreError, OSError),
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError),
    *(trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel),
    *Left,
)

AnswerT = TypeVar("AnswerT")


@dataclass(slots=True)
class Server:
    """One server of one agent, whether it runs or not."""

    agent: str
    spec: McpServerSpec
    session: Session | None = None
    tools: Mapping[str, Definition] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    trouble: str | None = None
    failures: int = 0
    not_before_s: float = -math.inf
    began_s: float = 0.0
    scope: trio.CancelScope | None = None
    over: trio.Event | None = None  # the end of its last life, until that has come
    starting: trio.Lock = field(default_factory=trio.Lock)

    @property
    def state(self) -> Literal["up", "down", "failed"]:
        """For people: up, down, or failed."""
        if self.session is not None:
            return "up"
        return "failed" if self.trouble else "down"

    def forget(self, tool: str) -> None:
        """What is known of `tool` is no longer so: the next call asks the server again."""
        self.refused = {name: why for name, why in self.refused.items() if name != tool}
        if self.session is not None:
            self.session.listing_is_old = True

    def close(self) -> None:
        """End the session and the program behind it, now."""
        self.session = None
        if self.scope is not None:
            self.scope.cancel()


class Servers:
    """A service, and the `ToolPort` of the acts. Construct, then start `run`.

    Args:
        agents: their configuration says which servers there are.
        pins: which definitions were approved.
        hidden: paths of the node, in no program's reach.
        environ: variables, of which a server gets those it may have.
        client: makes the HTTP client for a server with a url.
        secrets: none of them is passed on, neither to a server nor from one.
        find_jail: looks whether this host can jail programs; blocks.
        command: the launcher of programs.
    """

    def __init__(
        self,
        agents: Iterable[AgentSpec],
        pins: Pins,
        *,
        hidden: Sequence[str],
        environ: Mapping[str, str],
        client: Client | None,
        secrets: SecretsPort | None = None,
        find_jail: Callable[[], NativeJail] = probe,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._servers = {
            (agent.name, spec.name): Server(agent.name, spec)
            for agent in agents
            for spec in agent.mcp_servers
        }
        self.pins = pins
        self._secrets = secrets
        self._hidden = tuple(hidden)
        self._environ = environ
        self._client = client
        self._find_jail = find_jail
        self._command = tuple(command)
        self._jail: NativeJail | None = None
        self._nursery: trio.Nursery | None = None

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Hold the servers until cancelled; then none is left."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None
        raise AssertionError("unreachable: the nursery ends only by raising")

    def stop_agent(self, agent: str) -> None:
        """End the servers of `agent`; a later call starts them again."""
        for server in self._servers.values():
            if server.agent == agent:
                server.close()

    def all(self) -> list[Server]:
        """Every configured server, for people."""
        return list(self._servers.values())

    def find(self, agent: str, server: str) -> Server:
        """The server AGENT/SERVER. Raises UnknownServer."""
        found = self._servers.get((agent, server))
        if found is None:
            raise UnknownServer(agent, server)
        return found

    # --- what guests ask ----------------------------------------------------------------------

    def pin_problem(self, agent: str, wish: CallTool) -> str | None:
        """Why a tool may not be called as it is now, as far as is known without asking it."""
        server = self._servers.get((agent, wish.server))
        if server is None or not server.spec.allows(wish.tool):
            return f"tool {wish.server}/{wish.tool} is not allowed for agent {agent}"
        return server.refused.get(wish.tool)

    async def list_tools(self, agent: str, wish: ListTools, *, still_allowed: StillAllowed) -> str:
        """The tools `agent` may call, and why not others that are named; JSON.

        Raises:
            ActFailed: the server cannot be asked.
        """
        server = self._named(agent, wish.server)
        session = await self._up(server)
        await self._watched(
            server, lambda: self._judge(server, session), still_allowed, FaultCode.UNAVAILABLE
        )
        tools = [server.tools[name].to_json() for name in sorted(server.tools)]
        refused = [{"name": n, "why": why} for n, why in sorted(server.refused.items())]
        listed = bounded({"tools": tools, "refused": refused}, FaultCode.UNAVAILABLE)
        return self._redacted(agent, listed)

    def _words(self, agent: str, failure: Exception) -> str:
        """One line of a failure: a server that was shown a credential may have put it there."""
        return shown(failure, partial(self._redacted, agent))

    def _redacted(self, agent: str, answer: str) -> str:
        return self._secrets.redactor(agent).text(answer) if self._secrets else answer

    async def call_tool(self, agent: str, wish: CallTool, *, still_allowed: StillAllowed) -> str:
        """What the tool answered; JSON.

        Raises:
            ActFailed: it was not called; with `unknown`, how it ended is lost.
        """
        server = self._named(agent, wish.server)
        session = await self._up(server)
        if session.listing_is_old:
            await self._watched(
                server, lambda: self._judge(server, session), still_allowed, FaultCode.UNAVAILABLE
            )
        why_not = self.pin_problem(agent, wish)
        if why_not is None and wish.tool not in server.tools:
            why_not = f"{wish.server} has no tool {wish.tool}"
        if why_not is not None:
            raise ActFailed(FaultCode.NOT_ALLOWED, why_not)
        leak = self._secrets.leaks(agent, wish.arguments_json.encode()) if self._secrets else None
        if leak is not None:
            raise ActFailed(FaultCode.NOT_ALLOWED, f"the arguments hold the secret {leak}")
        arguments = guest_json.read(wish.arguments_json)
        answer = await self._watched(
            server,
            lambda: session.call_tool(wish.tool, arguments),
            still_allowed,
            FaultCode.UNKNOWN,
        )
        return self._redacted(agent, bounded(answer, FaultCode.UNKNOWN))

    def _named(self, agent: str, name: str) -> Server:
        server = self._servers.get((agent, name))
        if server is None:
            raise ActFailed(FaultCode.NOT_ALLOWED, f"agent {agent} has no mcp server {name}")
        return server

    async def _watched(
        self,
        server: Server,
        call: Callable[[], Awaitable[AnswerT]],
        still_allowed: StillAllowed,
        lost: FaultCode,
    ) -> AnswerT:
        """Wait for `call` while it is allowed and in time; `lost` is the fault if it is neither."""
        why = still_allowed()
        if why is not None:
            raise ActFailed(FaultCode.CANCELLED, why)
        if self._nursery is None:
            raise ActFailed(FaultCode.CANCELLED, "the node stops")
        watch = _Watch(trio.CancelScope(), still_allowed)
        watch.scope.deadline = trio.current_time() + server.spec.timeout_s
        self._nursery.start_soon(watch.run)
        is_answered = False
        try:
            with watch.scope:
                answer = await call()
                is_answered = True
                return answer
        except ToolRefused as refused:
            is_answered = True
            said = self._words(server.agent, refused)
            raise ActFailed(FaultCode.UNAVAILABLE, f"the server says: {said}") from refused
        except (AuditUnavailable, StoreError) as trouble:
            raise ActFailed(FaultCode.UNAVAILABLE, str(trouble)) from trouble
        except _STUMBLES as failure:
            raise ActFailed(lost, self._words(server.agent, failure)) from failure
        finally:
            watch.is_over = True
            if not is_answered:
                server.close()
        late = f"{server.spec.name} did not answer within {server.spec.timeout_s:g} s"
        raise ActFailed(lost, watch.why or late)

    # --- the life of a server -----------------------------------------------------------------

    async def look(self, server: Server) -> None:
        """Ask `server` for its tools now, and start it for that; for people.

        Raises:
            ActFailed: it cannot be asked.
        """
        session = await self._up(server)
        await self._watched(
            server, lambda: self._judge(server, session), lambda: None, FaultCode.UNAVAILABLE
        )

    async def _judge(self, server: Server, session: Session) -> None:
        listing = read_listing(await session.list_tools())
        server.tools, server.refused = self.pins.judge(server.agent, server.spec, listing)

    async def _up(self, server: Server) -> Session:
        """The session with `server`, which is started if it is down."""
        async with server.starting:
            if server.session is not None:
                return server.session
            if server.over is not None:
                await server.over.wait()
            wait_s = server.not_before_s - trio.current_time()
            if wait_s > 0:
                why = f"{server.trouble}; it is tried again in {math.ceil(wait_s)} s"
                raise ActFailed(FaultCode.UNAVAILABLE, why)
            if self._nursery is None:
                raise ActFailed(FaultCode.CANCELLED, "the node stops")
            session: Session | None = await self._nursery.start(self._keep, server)
            if session is None:
                raise ActFailed(FaultCode.UNAVAILABLE, server.trouble or "it was stopped")
            return session

    async def _keep(
        self,
        server: Server,
        *,
        task_status: trio.TaskStatus[Session | None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """One life of a server; what goes wrong is written down in it."""
        server.over = over = trio.Event()
        try:
            session = await self._live(server, task_status)
        finally:
            server.over = None
            over.set()
        if session is None:
            task_status.started(None)

    async def _live(
        self, server: Server, task_status: trio.TaskStatus[Session | None]
    ) -> Session | None:
        who = {"agent": server.agent, "server": server.spec.name}
        ended, trouble = trio.Event(), ""
        session: Session | None = None
        with trio.CancelScope(deadline=trio.current_time() + START_S_MAX) as server.scope:
            try:
                async with AsyncExitStack() as stack:
                    streams = await stack.enter_async_context(await self._streams(server, ended))
                    opened = await stack.enter_async_context(
                        open_session(server.spec.name, streams, ended.set)
                    )
                    await self._judge(server, opened)
                    server.scope.deadline = math.inf
                    server.session, server.trouble = opened, None
                    server.began_s, session = trio.current_time(), opened
                    log.info("mcp.up", tools=len(server.tools), **who)
                    task_status.started(session)
                    await ended.wait()
                    server.session = None
                    trouble = f"{server.spec.name} ended by itself"
            except* _STUMBLES as failures:
                trouble = self._words(server.agent, first_of(failures))
            finally:
                server.session, server.tools = None, {}
        if server.scope.cancelled_caught and trio.current_time() >= server.scope.deadline:
            trouble = f"{server.spec.name} did not start within {START_S_MAX:g} s"
        self._note_end(server, trouble)
        log.info("mcp.down", why=trouble, **who)
        return session

    async def _streams(
        self, server: Server, ended: trio.Event
    ) -> AbstractAsyncContextManager[Streams]:
        spec = server.spec
        await trio.to_thread.run_sync(load_sdk)
        if spec.url is not None:
            if self._client is None:
                raise ServerFailed(spec.name, why="this node speaks to no servers over HTTP")
            return over_http(spec, self._client(server.agent, spec))
        if self._jail is None:
            self._jail = await trio.to_thread.run_sync(self._find_jail)
        level = require(self._jail)
        policy = policy_of(spec, hidden=self._hidden, environ=self._environ)
        said = Complaints(server.agent, spec.name).said
        return over_pipes(spec, policy, level, said, ended.set, command=self._command)

    def _note_end(self, server: Server, trouble: str) -> None:
        lasted_s = trio.current_time() - server.began_s if server.began_s else 0.0
        server.began_s = 0.0
        if not trouble:
            server.failures, server.trouble = 0, None
            return
        server.failures = 1 if lasted_s >= STABLE_S else server.failures + 1
        server.trouble = trouble
        first, longest = BACKOFF_S
        pause_s = min(longest, first * 2 ** min(server.failures - 1, 16))
        server.not_before_s = trio.current_time() + pause_s


class _Watch:
    """Cancels a call when it is not allowed any more."""

    def __init__(self, scope: trio.CancelScope, still_allowed: StillAllowed) -> None:
        self.scope = scope
        self.why: str | None = None
        self.is_over = False
        self._still_allowed = still_allowed

    async def run(self) -> None:
        while not self.is_over:
            await trio.sleep(LOOK_S)
            self.why = None if self.is_over else self._still_allowed()
            if self.why is not None:
                self.scope.cancel()
                return
