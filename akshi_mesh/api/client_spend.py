"""What a command asks of a running node about money."""

from typing import Any, Protocol, cast

from akshi_mesh.api.shapes_spend import SpendInfo


class Caller(Protocol):
    """A `Client`, as far as it is needed here."""

    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...


class SpendCalls:
    """The purse of a running node."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def show(self) -> SpendInfo:
        return cast(SpendInfo, self._caller.call("spend_show"))

    def kill(self) -> SpendInfo:
        return cast(SpendInfo, self._caller.call("spend_kill"))

    def resume(self) -> SpendInfo:
        return cast(SpendInfo, self._caller.call("spend_resume"))
