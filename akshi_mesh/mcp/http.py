"""The HTTP client for a remote server: the SDK's kind, over the one that guards our doors.

The SDK speaks httpx2. What may be reached, how names are resolved and how long an answer may
be is decided by `sandbox.net`, whose client is httpx's; so the one hands its requests to the
other. A credential bound to the server's address is put in here, and never into anything else.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import httpx2

from sandbox.endpoint import Url
from sandbox.mcp_server import McpServerSpec
from sandbox.net.operator import operator_client
from sandbox.outside import SecretsPort

ANSWER_BYTES_MAX = 64 << 20  # of one response, which may be a stream of events for hours


def guarded(
    secrets: SecretsPort | None,
) -> Callable[[str, McpServerSpec], AbstractAsyncContextManager[httpx2.AsyncClient]]:
    """What makes the client of one session with one server of an agent."""

    @asynccontextmanager
    async def client(agent: str, spec: McpServerSpec) -> AsyncIterator[httpx2.AsyncClient]:
        assert spec.url is not None, "a server with an argv is spoken to over pipes"
        ours = operator_client(
            spec.url, timeout_s=spec.timeout_s, answer_bytes_max=ANSWER_BYTES_MAX
        )
        async with ours:
            transport = Handover(ours, agent, secrets)
            async with httpx2.AsyncClient(
                transport=transport, trust_env=False, follow_redirects=False
            ) as theirs:
                yield theirs

    return client


class Handover(httpx2.AsyncBaseTransport):
    """Requests of httpx2, made by an httpx client."""

    def __init__(self, client: httpx.AsyncClient, agent: str, secrets: SecretsPort | None) -> None:
        self._client = client
        self._agent = agent
        self._secrets = secrets

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = httpx.Headers(request.headers.raw)
        if self._secrets is not None:
            url = Url.parse(str(request.url))
            for injection in self._secrets.injections(self._agent, url, request.method):
                headers[injection.header] = injection.value
        copy = self._client.build_request(
            request.method,
            str(request.url),
            headers=headers,
            content=await request.aread(),
            extensions={"timeout": request.extensions.get("timeout", {})},
        )
        try:
            answer = await self._client.send(copy, stream=True)
        except httpx.TransportError as failure:
            raise httpx2.ConnectError(str(failure), request=request) from failure
        return httpx2.Response(
            answer.status_code, headers=answer.headers.raw, stream=_Answer(answer)
        )


class _Answer(httpx2.AsyncByteStream):
    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.aiter_raw():
                yield chunk
        except httpx.TransportError as failure:
            raise httpx2.ReadError(str(failure)) from failure

    async def aclose(self) -> None:
        await self._answer.aclose()
