"""What a command asks of a running node about secrets; values travel over its socket only."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

from akshi_mesh.api.shapes import Done
from akshi_mesh.api.shapes_secrets import SecretInfo


class Caller(Protocol):
    """A `Client`, as far as it is needed here."""

    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...


class SecretCalls:
    """The desk of a running node, under the names that `Desk` has."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def set(
        self,
        name: str,
        value: str,
        *,
        endpoints: Sequence[str] = (),
        methods: Sequence[str] = (),
        header: str | None = None,
        format: str | None = None,
        agent: str | None = None,
        key: str | None = None,
    ) -> list[SecretInfo]:
        answer = self._caller.call(
            "secrets_set",
            name=name,
            value=value,
            endpoints=[*endpoints],
            methods=[*methods],
            header=header,
            format=format,
            agent=agent,
            key=key,
        )
        return cast(list[SecretInfo], answer)

    def rotate(self, name: str, value: str) -> list[SecretInfo]:
        return cast(list[SecretInfo], self._caller.call("secrets_rotate", name=name, value=value))

    def remove(self, name: str) -> Done:
        return cast(Done, self._caller.call("secrets_remove", name=name))

    def listed(self) -> list[SecretInfo]:
        return cast(list[SecretInfo], self._caller.call("secrets_list"))

    def revoke(
        self, name: str, *, agent: str | None = None, endpoint: str | None = None
    ) -> list[SecretInfo]:
        answer = self._caller.call("secrets_revoke", name=name, agent=agent, endpoint=endpoint)
        return cast(list[SecretInfo], answer)

    def restore(
        self, name: str, *, agent: str | None = None, endpoint: str | None = None
    ) -> list[SecretInfo]:
        answer = self._caller.call("secrets_restore", name=name, agent=agent, endpoint=endpoint)
        return cast(list[SecretInfo], answer)
