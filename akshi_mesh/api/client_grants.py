"""What a command asks of a running node about grants."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

from akshi_mesh.api.shapes import Done
from akshi_mesh.api.shapes_grants import GrantInfo


class Caller(Protocol):
    """A `Client`, as far as it is needed here."""

    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...


class GrantCalls:
    """Give, use, list, show, drop."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def make(
        self,
        did: str,
        *,
        allow: Sequence[str] = (),
        caps: Sequence[str] = (),
        spend: str | None = None,
        until_ms: int,
        source: str | None = None,
    ) -> GrantInfo:
        answer = self._caller.call(
            "grant_make",
            did=did,
            allow=[*allow],
            caps=[*caps],
            spend=spend,
            until_ms=until_ms,
            source=source,
        )
        return cast(GrantInfo, answer)

    def use(self, chain: bytes) -> GrantInfo:
        return cast(GrantInfo, self._caller.call("grant_use", chain=chain.hex()))

    def listed(self) -> list[GrantInfo]:
        return cast(list[GrantInfo], self._caller.call("grant_list"))

    def show(self, grant_id: str) -> GrantInfo:
        return cast(GrantInfo, self._caller.call("grant_show", grant_id=grant_id))

    def drop(self, grant_id: str) -> Done:
        return cast(Done, self._caller.call("grant_drop", grant_id=grant_id))
