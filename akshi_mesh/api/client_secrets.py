"""What a command asks of a running node about secrets; values travel over its socket only."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

from akshi_mesh.api.shapes import Done
from akshi_mesh.api.shapes_secrets import SecretInfo


class _Caller(Protocol):
    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...


class SecretCalls:
    """Part of `Client`."""

    def secrets_set(
        self: _Caller,
        name: str,
        value: str,
        *,
        endpoints: Sequence[str],
        methods: Sequence[str],
        header: str | None,
        format: str | None,
        agent: str | None,
        key: str | None,
    ) -> list[SecretInfo]:
        answer = self.call(
            "secrets_set",
            name=name,
            value=value,
            endpoints=list(endpoints),
            methods=list(methods),
            header=header,
            format=format,
            agent=agent,
            key=key,
        )
        return cast(list[SecretInfo], answer)

    def secrets_rotate(self: _Caller, name: str, value: str) -> list[SecretInfo]:
        return cast(list[SecretInfo], self.call("secrets_rotate", name=name, value=value))

    def secrets_remove(self: _Caller, name: str) -> Done:
        return cast(Done, self.call("secrets_remove", name=name))

    def secrets_list(self: _Caller) -> list[SecretInfo]:
        return cast(list[SecretInfo], self.call("secrets_list"))

    def secrets_revoke(
        self: _Caller, name: str, *, agent: str | None, endpoint: str | None
    ) -> list[SecretInfo]:
        answer = self.call("secrets_revoke", name=name, agent=agent, endpoint=endpoint)
        return cast(list[SecretInfo], answer)

    def secrets_restore(
        self: _Caller, name: str, *, agent: str | None, endpoint: str | None
    ) -> list[SecretInfo]:
        answer = self.call("secrets_restore", name=name, agent=agent, endpoint=endpoint)
        return cast(list[SecretInfo], answer)
