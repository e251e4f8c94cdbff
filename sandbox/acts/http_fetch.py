"""One outbound HTTP request, to a place that the gate has checked."""

from collections.abc import Callable

from sandbox.endpoint import EndpointRule, Url
from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.fetch import FetchOrder, FetchRequest
from sandbox.outside import HttpPort, StillAllowed
from sandbox.ports import TaskRun


async def fetch(
    port: HttpPort | None,
    task: TaskRun,
    wish: FetchRequest,
    *,
    rules: tuple[EndpointRule, ...],
    still_allowed: StillAllowed,
    hop: Callable[[Url, str], str | None],
) -> str:
    """The answer as JSON. `hop` tells why a redirect must not be followed, or None."""
    if port is None:
        raise ActFailed(FaultCode.UNAVAILABLE, "this node has no way to the web")
    return await port.fetch(
        FetchOrder(
            agent=task.agent,
            url=wish.url,
            method=wish.method,
            headers=wish.headers,
            body=wish.body,
            rules=rules,
            timeout_s=wish.timeout_ms / 1_000,
            still_allowed=still_allowed,
            payment=wish.payment,
            hop=hop,
        )
    )
