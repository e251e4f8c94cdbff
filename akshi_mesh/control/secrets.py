"""Secrets of a running node. A change is in the log, then on disk, then in force: at once."""

from collections.abc import Sequence

from akshi_mesh.api.shapes import Done
from akshi_mesh.api.shapes_secrets import SecretInfo
from akshi_mesh.parts import Parts


class SecretControl:
    """`Control`, as far as it is about secrets. No answer ever holds a value."""

    _parts: Parts

    async def secrets_set(
        self,
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
        return self._parts.secrets.desk.set(
            name,
            value,
            endpoints=endpoints,
            methods=methods,
            header=header,
            format=format,
            agent=agent,
            key=key,
        )

    async def secrets_rotate(self, name: str, value: str) -> list[SecretInfo]:
        return self._parts.secrets.desk.rotate(name, value)

    async def secrets_remove(self, name: str) -> Done:
        self._parts.secrets.desk.remove(name)
        return {"note": "answers are searched for it for 24 hours more, or until the node stops"}

    async def secrets_list(self) -> list[SecretInfo]:
        return self._parts.secrets.desk.listed()

    async def secrets_revoke(
        self, name: str, *, agent: str | None, endpoint: str | None
    ) -> list[SecretInfo]:
        return self._parts.secrets.desk.revoke(name, agent=agent, endpoint=endpoint)

    async def secrets_restore(
        self, name: str, *, agent: str | None, endpoint: str | None
    ) -> list[SecretInfo]:
        return self._parts.secrets.desk.restore(name, agent=agent, endpoint=endpoint)
