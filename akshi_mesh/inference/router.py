"""Where a prompt goes, and the one try that may cost: `ModelPort`.

    route    from the configuration alone: which model, and more than it can cost
    prompt   secrets in it? ─▶ breaker ─▶ send ─▶ read the stream ─▶ secrets blotted out

What provably was not processed is tried again: a connection that was not made, and the answers
429 and 503, which refuse before any work. Whatever fails after the first byte has left is
`unknown`: it may have been charged, and is not asked again. Failures hold no words of the
provider's, which might echo a key.

A router that chooses by the prompt would stand where `route` is; all else stays.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import structlog
import trio

from akshi_mesh.inference.breaker import Breaker
from akshi_mesh.inference.errors import MalformedStream
from akshi_mesh.inference.providers import Heard, body_of, reader_of
from akshi_mesh.inference.routes import RouterSpec, RouteSpec
from sandbox.errors import ActFailed, SandboxError
from sandbox.fault import FaultCode
from sandbox.net.door import Door, Opened
from sandbox.net.errand import Errand, errand
from sandbox.net.errors import NotSent, SentAndLost
from sandbox.outside import SecretsPort, StillAllowed
from sandbox.prompt import ModelAnswer, Prompt, Route, write_answer

TRIES: Final = 3
PAUSES_S: Final = (0.25, 1.0)  # before the second and the third
LOOK_S: Final = 0.02  # between two looks at the switches while nothing comes
STREAM_BYTES_MAX: Final = 8 << 20  # an event of 200 bytes for each of some tokens
LINE_BYTES_MAX: Final = 1 << 20
HTTP_OK: Final = 200
HTTP_SERVER_ERROR: Final = 500
_TRY_AGAIN: Final = {429, 503}

log = structlog.get_logger()


class _NotProcessed(Exception):
    """The provider has not done anything; perhaps it will if it is asked again."""


class Router:
    """The models of this node."""

    def __init__(self, spec: RouterSpec, secrets: SecretsPort) -> None:
        self._specs = {route.name: route for route in spec.routes}
        self._default = spec.default_route
        self._secrets = secrets
        self._breakers = {route.name: Breaker() for route in spec.routes}

    def route(self, agent: str, prompt: Prompt) -> Route:  # noqa: ARG002 - a later router asks
        """Where the prompt would go. Raises ActFailed: there is no such route, or none."""
        name = prompt.model or self._default
        if name is None:
            raise ActFailed(FaultCode.UNAVAILABLE, "no [router] is configured on this node")
        spec = self._specs.get(name)
        if spec is None:
            raise ActFailed(FaultCode.INVALID, f"no model {name} on this node")
        max_tokens = min(prompt.max_tokens or spec.max_tokens, spec.max_tokens)
        ceiling = None
        if spec.price is not None:
            ceiling = spec.price.of(tokens_in=prompt.tokens_max, tokens_out=max_tokens)
        return Route(
            name=spec.name,
            model=spec.model,
            origin=spec.base_url.origin,
            is_local=spec.is_local,
            max_tokens=max_tokens,
            ceiling=ceiling,
        )

    async def prompt(
        self, agent: str, route: Route, prompt: Prompt, *, still_allowed: StillAllowed
    ) -> ModelAnswer:
        """Ask, once as far as it can cost.

        Raises:
            ActFailed: `unknown` if it may have been charged; else nothing was.
        """
        spec = self._specs[route.name]
        for user in (agent, spec.user):
            found = self._secrets.leaks(user, *prompt.texts)
            if found is not None:
                raise ActFailed(FaultCode.NOT_ALLOWED, f"the prompt holds the secret {found}")
        breaker = self._breakers[route.name]
        if breaker.is_open(trio.current_time()):
            raise ActFailed(FaultCode.UNAVAILABLE, f"model {route.name} did not answer of late")
        try:
            heard = await self._ask(spec, route, prompt, still_allowed)
        except ActFailed as failure:
            if failure.code is not FaultCode.CANCELLED:
                breaker.failed(trio.current_time())
            raise
        breaker.succeeded()
        return self._told(agent, spec, route, heard)

    async def _ask(
        self, spec: RouteSpec, route: Route, prompt: Prompt, still_allowed: StillAllowed
    ) -> Heard:
        injected = self._secrets.injections(spec.user, spec.url, "POST")
        if spec.needs_key and not injected:
            raise ActFailed(FaultCode.UNAVAILABLE, f"the key of model {route.name} is not here")
        headers = {"Content-Type": "application/json"}
        headers |= {one.header: one.value for one in injected}
        body, why = body_of(spec.provider, route, prompt), ""
        for number in range(TRIES):
            if number:
                await trio.sleep(PAUSES_S[number - 1])
            stopped = still_allowed()
            if stopped is not None:
                raise ActFailed(FaultCode.CANCELLED, stopped)
            try:
                return await self._try(spec, body, headers, still_allowed)
            except _NotProcessed as failure:
                why = str(failure)
        raise ActFailed(FaultCode.UNAVAILABLE, f"model {route.name}: {why}")

    async def _try(
        self, spec: RouteSpec, body: str, headers: Mapping[str, str], still_allowed: StillAllowed
    ) -> Heard:
        """One request. Raises _NotProcessed, or ActFailed if it must not be made again."""
        name, heard, halt = spec.name, Heard(), _Halt(still_allowed)
        with errand(still_allowed) as sent, trio.move_on_after(spec.timeout_s):
            try:
                async with halt.watched():
                    await self._stream(spec, body.encode(), headers, heard)
            except NotSent as failure:
                if stopped := still_allowed():
                    raise ActFailed(FaultCode.CANCELLED, stopped) from failure
                raise _NotProcessed("its provider cannot be reached") from failure
            except (SentAndLost, MalformedStream) as failure:
                raise _lost(name, sent, halt.why or still_allowed()) from failure
            if halt.why is not None or not heard.is_done:
                raise _lost(name, sent, halt.why)
            return heard
        code = FaultCode.UNKNOWN if sent.has_left else FaultCode.UNAVAILABLE
        raise ActFailed(code, f"model {name} did not answer in {spec.timeout_s:g} s")

    async def _stream(
        self, spec: RouteSpec, body: bytes, headers: Mapping[str, str], heard: Heard
    ) -> None:
        url = spec.url
        plain = {
            "Host": url.origin.partition("://")[2],
            "Content-Length": str(len(body)),
            **headers,
        }
        raw = [(header.encode(), value.encode()) for header, value in plain.items()]
        kinds = ("connect", "read", "write", "pool")
        timeouts: dict[str, float | None] = dict.fromkeys(kinds, spec.timeout_s)
        door = Door(str(url), answer_bytes_max=STREAM_BYTES_MAX)
        try:
            opened = await door.send("POST", str(url), raw, _content(body), timeouts=timeouts)
            _check_status(spec.name, opened.status)
            await _hear(opened, reader_of(spec.provider), heard)
        finally:
            with trio.CancelScope(shield=True):  # closing does not wait for the provider
                await door.aclose()

    def _told(self, agent: str, spec: RouteSpec, route: Route, heard: Heard) -> ModelAnswer:
        text, finish = heard.text, heard.finish
        for user in (agent, spec.user):
            text = self._secrets.redactor(user).text(text)
            finish = self._secrets.redactor(user).text(finish)
        cost, is_counted = route.ceiling, None not in (heard.tokens_in, heard.tokens_out)
        if spec.price is not None and is_counted:
            assert heard.tokens_in is not None
            assert heard.tokens_out is not None
            cost = spec.price.of(tokens_in=heard.tokens_in, tokens_out=heard.tokens_out)
            if route.ceiling is not None and cost > route.ceiling:
                log.warning("inference.over_ceiling", model=route.name, cost=str(cost))
        return ModelAnswer(
            write_answer(
                text=text,
                route=route,
                tokens_in=heard.tokens_in,
                tokens_out=heard.tokens_out,
                finish=finish,
                cost=cost,
            ),
            cost,
        )


def _check_status(name: str, status: int) -> None:
    if status in _TRY_AGAIN:
        raise _NotProcessed(f"its provider answers {status}")
    if status != HTTP_OK:
        # 4xx: refused before any work. 5xx: nobody knows how far it came.
        code = FaultCode.UNKNOWN if status >= HTTP_SERVER_ERROR else FaultCode.UNAVAILABLE
        raise ActFailed(code, f"the provider of model {name} answers {status}")


async def _content(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _hear(opened: Opened, read: Callable[[Heard, str], None], heard: Heard) -> None:
    """Read lines until the answer says that it is done. Raises SentAndLost, MalformedStream."""
    rest, odd = b"", None
    try:
        async for chunk in opened.body.chunks():
            if odd is not None or heard.is_done:
                continue  # closed, and about to end
            *lines, rest = (rest + chunk).split(b"\n")
            try:
                for line in lines:
                    read(heard, line.decode())
                if len(rest) > LINE_BYTES_MAX:
                    raise MalformedStream("a line without end")
            except (MalformedStream, UnicodeDecodeError) as failure:
                odd = MalformedStream(str(failure))
            if odd is not None or heard.is_done:
                await opened.body.aclose()
    except SentAndLost:
        if odd is None and not heard.is_done:
            raise
    if odd is not None:
        raise odd


class _Halt:
    """Ends a wait when a switch is pulled, though nothing comes and nothing goes."""

    def __init__(self, still_allowed: Callable[[], str | None]) -> None:
        self._still_allowed = still_allowed
        self.why: str | None = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery.cancel_scope)
            try:
                yield
            except (SandboxError, MalformedStream, _NotProcessed) as raised:
                failure = raised  # alone, and not in a group of one
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _watch(self, scope: trio.CancelScope) -> None:
        while self.why is None:
            await trio.sleep(LOOK_S)
            self.why = self._still_allowed()
        scope.cancel()


def _lost(name: str, sent: Errand, stopped: str | None) -> ActFailed:
    if not sent.has_left:
        code = FaultCode.CANCELLED if stopped else FaultCode.UNAVAILABLE
        return ActFailed(code, stopped or f"model {name} cannot be reached")
    why = f"model {name} was asked, and its answer was lost"
    return ActFailed(FaultCode.UNKNOWN, f"{stopped}: {why}" if stopped else why)
