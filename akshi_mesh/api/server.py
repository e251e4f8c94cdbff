"""The node's one API: HTTP on a unix socket that only its owner can open, plus a token."""

import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from akshi_mesh.api.control import Control
from akshi_mesh.api.errors import BadRequest, BadToken, ControlError, NotKnown
from akshi_mesh.api.openapi import document
from akshi_mesh.api.operations import OPERATIONS, Operation
from akshi_mesh.api.told import FAMILIES, told
from sync.errors import DatabaseDamaged

BODY_BYTES_MAX = 256 * 1024  # a task is at most 60 KiB, in hex or escapes four times that
SOCKET_UMASK = 0o177  # the socket is 0600 from its first moment

log = structlog.get_logger()


class Api:
    """A service: construct, then ``await nursery.start(api.run, path)``."""

    def __init__(
        self,
        control: Control,
        *,
        token: str,
        version: str,
        ended: Callable[[], None],
        damaged: Callable[[DatabaseDamaged], None],
    ) -> None:
        """`ended` is called when the answer to `stop` is out: then the node may end.

        `damaged` is called when a request found that the store is: then the node must end.
        """
        assert token, "an empty token would let everybody in"
        self._control = control
        self._ended = ended
        self._damaged = damaged
        self._token = token.encode()
        self._version = version

    async def run(
        self, path: Path, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve on the unix socket at `path` until cancelled; a stale socket is replaced.

        The caller holds the lock of the home, so whatever lies at `path` is nobody's.
        """
        config = Config()
        config.bind = [f"unix:{path}"]
        config.umask = SOCKET_UMASK
        config.graceful_timeout = 0  # stop means stop
        config.shutdown_timeout = 1
        config.include_server_header = False
        config.alpn_protocols = ["http/1.1"]
        config.h11_max_incomplete_size = BODY_BYTES_MAX
        config.logger_class = _Events

        async with trio.open_nursery() as nursery:
            await nursery.start(serve, self.app(), config)
            task_status.started()

    def app(self) -> Starlette:
        """The ASGI application, without a socket."""
        routes = [Route("/openapi.json", self._guarded(self._describe), methods=["GET"])]
        for operation in OPERATIONS.values():
            endpoint = self._guarded(self._endpoint(operation))
            routes.append(Route(f"/v1/{operation.name}", endpoint, methods=["POST"]))
        routes.append(Route("/{path:path}", self._guarded(_nothing_here)))
        return Starlette(routes=routes)

    def _guarded(self, endpoint: "Endpoint") -> "Endpoint":
        """Nothing is read of a request, and nothing told, before its token was right."""

        async def guarded(request: Request) -> Response:
            try:
                self._check_token(request)
                return await endpoint(request)
            except ControlError as error:
                return _refusal(error)
            except DatabaseDamaged as damage:
                return _Last(_refusal(told(damage)), partial(self._damaged, damage))
            except FAMILIES as error:
                return _refusal(told(error))

        return guarded

    def _check_token(self, request: Request) -> None:
        shown = request.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(shown, b"Bearer " + self._token):
            raise BadToken("wrong token", hint="the token is in security/api.token of the home")

    def _endpoint(self, operation: Operation) -> "Endpoint":
        method = getattr(self._control, operation.name)

        async def endpoint(request: Request) -> Response:
            arguments = operation.arguments(await _body(request))
            if operation.streams:
                events = method(**arguments)
                # Awaited before there is an answer, so that a refusal is a refusal.
                return _Lines(await anext(events, None), events)
            answer = JSONResponse(await method(**arguments))
            return _Last(answer, self._ended) if operation.name == "stop" else answer

        return endpoint

    async def _describe(self, request: Request) -> Response:  # noqa: ARG002 - starlette's shape
        return JSONResponse(document(version=self._version))


Endpoint = Callable[[Request], Awaitable[Response]]


async def _nothing_here(request: Request) -> Response:
    raise NotKnown(f"no such path: {request.method} {request.url.path[:200]}")


async def _body(request: Request) -> object:
    """The JSON of the request; an empty body is an empty object."""
    data = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) > BODY_BYTES_MAX:
                raise BadRequest(f"more than {BODY_BYTES_MAX} bytes")
    if not data:
        return {}
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as failure:
        raise BadRequest("not json") from failure


class _Lines(Response):
    """One JSON object a line, as it happens, until there is no more or nobody listens.

    Starlette's own streaming response leaves the generator to the garbage collector when the
    client goes away; ours closes it, so that the node stops watching at once.
    """

    media_type = "application/x-ndjson"

    def __init__(self, first: Any, events: AsyncGenerator[Any, None]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._first = first
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        async with aclosing(self._events) as events, trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if self._first is not None:
                await send(_chunk(self._first))
                async for event in events:
                    await send(_chunk(event))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel()


class _Last(Response):
    """The last answer: to `stop`, or of a damaged store. Out or not, the node ends after it."""

    def __init__(self, answer: Response, ended: Callable[[], None]) -> None:
        super().__init__()
        self._answer = answer
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            self._ended()


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _chunk(event: Any) -> dict[str, Any]:
    line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
    return {"type": "http.response.body", "body": line, "more_body": True}


def _refusal(error: ControlError) -> Response:
    return JSONResponse(
        {"error": str(error), "hint": error.hint, "exit": error.exit_code},
        status_code=error.http_status,
    )


class _Events(Logger):
    """Hypercorn's log lines as our events; requests are not logged, refusals and bugs are."""

    def __init__(self, config: Config) -> None:
        config.errorlog = None
        super().__init__(config)

    async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        log.exception("api.bug", message=message)

    async def warning(self, message: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        log.warning("api.warning", message=message)

    async def error(self, message: str, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        log.error("api.error", message=message)
