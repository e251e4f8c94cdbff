"""What the owner does with secrets: set, rotate, remove, revoke, restore, list.

The same desk serves the running node and the command line that holds the lock of a stopped one.
Every change is recorded before it is made, and once more if it then fails; none needs a restart.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from akshi_mesh.api.errors import BadRequest
from akshi_mesh.secrets.box import KeyKind
from akshi_mesh.secrets.broker import Broker
from akshi_mesh.secrets.errors import NoSuchSecret, SecretConflict
from akshi_mesh.secrets.grants import Revocation
from akshi_mesh.secrets.source import Held
from sandbox.audit import AuditRecord, Event
from sandbox.ports import AuditPort
from sandbox.secrets import (
    FORMAT_DEFAULT,
    HEADER_DEFAULT,
    SecretBinding,
    SecretSource,
    check_value,
    texts_of,
)
from sync.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from akshi_mesh.api.shapes_secrets import SecretInfo

ANY = "*"


class Desk:
    """The owner's side of a broker."""

    def __init__(
        self,
        broker: Broker,
        *,
        sources: tuple[SecretSource, ...],
        audit: AuditPort,
        database: Database,
        now_ms: Callable[[], int],
    ) -> None:
        self._broker = broker
        self._sources = sources
        self._audit = audit
        self._database = database
        self._now_ms = now_ms

    def set(
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
    ) -> list["SecretInfo"]:
        """Keep `value` as `name`, for these endpoints and no others.

        Without endpoints it is for those that the configuration names for it, or for those it
        had. `key` chooses where the key of a new box is kept.

        Raises:
            MalformedSecret, BadRequest, SecretConflict: it cannot be used so.
            BoxLocked, BoxFull, BoxUnwritable, UnsafeFile, AuditUnavailable: nothing has changed.
        """
        if endpoints:
            bindings = tuple(
                SecretBinding.parse(
                    name,
                    endpoint,
                    methods=methods,
                    agent=agent,
                    header=HEADER_DEFAULT if header is None else header,
                    format=FORMAT_DEFAULT if format is None else format,
                )
                for endpoint in dict.fromkeys(endpoints)
            )
        elif methods or header or format or agent:
            raise BadRequest("--method, --header, --format and --agent want an --endpoint")
        else:
            bindings = self._known(name)
        kind = _kind(key)
        check_value(name, value)
        self._refuse_conflicts(bindings)
        with self._recorded(name, "set", places=bindings):
            self._broker.vault.put(name, bindings, value, now_ms=self._now_ms(), kind=kind)
        self._broker.refresh()
        return self.listed(name)

    def rotate(self, name: str, value: str) -> list["SecretInfo"]:
        """A new value for the same endpoints; the last one is looked for 24 h more.

        Raises: as `set`; NoSuchSecret.
        """
        bindings = self._broker.vault.entry(name).bindings
        check_value(name, value)
        with self._recorded(name, "rotated"):
            self._broker.vault.put(name, bindings, value, now_ms=self._now_ms())
        self._broker.refresh()
        return self.listed(name)

    def remove(self, name: str) -> None:
        """Forget `name` and its values. What is revoked stays so, should it be set again.

        Raises: NoSuchSecret, BoxLocked, BoxUnwritable, UnsafeFile, AuditUnavailable.
        """
        entry = self._broker.vault.entry(name)
        with self._recorded(name, "removed"):
            self._broker.vault.drop(name)
        formats = [binding.format for binding in entry.bindings]
        values = [entry.value, *(old.value for old in entry.retired)]
        texts = (texts_of(value, formats) for value in values if value is not None)
        self._broker.removed(name, tuple(text for some in texts for text in some))

    def revoke(self, name: str, *, agent: str | None, endpoint: str | None) -> list["SecretInfo"]:
        """From the next call on, `agent` (or none at all) gets `name` at `endpoint` (or anywhere).

        Raises: NoSuchSecret, BadRequest; AuditUnavailable: it was not recorded, and holds anyway
            until the node stops.
        """
        row = Revocation(name, agent or "", self._place(name, endpoint))
        with self._database.transaction(fsync=True):
            self._broker.grants.revoke(row, now_ms=self._now_ms())
            self._record(name, "revoked", agent=row.agent, detail=row.place)
        return self.listed(name)

    def restore(self, name: str, *, agent: str | None, endpoint: str | None) -> list["SecretInfo"]:
        """Take back what `revoke` did with the same agent and endpoint; with neither, all of it.

        Raises: NoSuchSecret, BadRequest, AuditUnavailable.
        """
        place = self._place(name, endpoint)
        rows = [
            row
            for row in self._broker.grants.of(name)
            if agent in {None, row.agent} and place in {"", row.place}
        ]
        if not rows:
            raise BadRequest(
                f"nothing like that is revoked of secret {name!r}", hint="akshi-node secrets list"
            )
        try:
            with self._database.transaction(fsync=True):
                for row in rows:
                    self._broker.grants.restore(row)
                    self._record(name, "restored", agent=row.agent, detail=row.place)
        finally:
            self._broker.grants.reload()
        return self.listed(name)

    def listed(self, name: str | None = None) -> list["SecretInfo"]:
        """Every binding (of `name`), by name and place."""
        held = [h for h in self._broker.held if name in {None, h.binding.name}]
        held.sort(key=lambda h: (h.binding.name, h.binding.place, h.binding.agent or ""))
        return [self._info(each) for each in held]

    def _known(self, name: str) -> tuple[SecretBinding, ...]:
        """Where a secret goes that is set without an endpoint."""
        written = tuple(
            source.binding
            for source in self._sources
            if source.binding.name == name and source.variable is None
        )
        if written:
            return written
        if name in self._broker.vault.entries:
            return self._broker.vault.entry(name).bindings
        raise BadRequest(
            f"secret {name!r} needs an endpoint",
            hint=f"akshi-node secrets set {name} --endpoint https://HOST/PATH",
        )

    def _refuse_conflicts(self, bindings: tuple[SecretBinding, ...]) -> None:
        for binding in bindings:
            for held in self._broker.held:
                other = held.binding
                if other.name != binding.name and _clash(binding, other):
                    raise SecretConflict(binding.name, other.name, binding.place)

    def _place(self, name: str, endpoint: str | None) -> str:
        """`endpoint` as a place of `name`; empty for every one."""
        places = {h.binding.place for h in self._broker.held if h.binding.name == name}
        if not places:
            raise NoSuchSecret(name)
        if endpoint is None:
            return ""
        place = SecretBinding.parse(name, endpoint).place
        if place not in places:
            raise BadRequest(
                f"secret {name!r} does not go to {place}", hint="akshi-node secrets list"
            )
        return place

    def _info(self, held: Held) -> "SecretInfo":
        binding, grants = held.binding, self._broker.grants
        who = [
            row.agent or ANY
            for row in grants.of(binding.name)
            if row.place in {"", binding.place}
            and binding.agent in {None, row.agent or binding.agent}
        ]
        uses = [
            use
            for (name, _, place), use in self._broker.uses.items()
            if (name, place) == (binding.name, binding.place)
        ]
        is_boxed = held.source == "box"
        kind = self._broker.vault.kind
        entry = self._broker.vault.entries.get(binding.name) if is_boxed else None
        return {
            "name": binding.name,
            "endpoint": binding.place,
            "methods": [*binding.endpoint.methods],
            "header": binding.header,
            "format": binding.format,
            "agent": binding.agent,
            "source": held.source,
            "key": kind.value if is_boxed and kind else None,
            "state": self._state(held, who),
            "why": held.why,
            "revoked": sorted(set(who)),
            "set_ms": entry.set_ms if entry else None,
            "uses": sum(use.count for use in uses),
            "last_used_ms": max((use.last_ms for use in uses), default=None),
        }

    def _state(
        self, held: Held, revoked: Sequence[str]
    ) -> Literal["ready", "revoked", "no value", "locked"]:
        if held.value is None:
            return "locked" if held.source == "box" else "no value"
        for_all = ANY in revoked or (held.binding.agent is not None and bool(revoked))
        return "revoked" if for_all else "ready"

    @contextmanager
    def _recorded(
        self, name: str, code: str, places: tuple[SecretBinding, ...] = ()
    ) -> "Iterator[None]":
        """What is done in the block is in the log before it; that it failed, after it."""
        self._record(name, code, detail=" ".join(binding.place for binding in places))
        try:
            yield
        except BaseException:
            self._record(name, "failed", detail=code)
            raise

    def _record(self, name: str, code: str, *, agent: str = "", detail: str = "") -> None:
        self._audit.record(
            AuditRecord(
                at_ms=self._now_ms(),
                event=Event.SECRET,
                agent=agent,
                originator="",
                task_id=b"",
                number=-1,
                function="",
                code=code,
                detail=detail,
                request_hash=b"",
                facts=(("subject", name),),
            )
        )


def _clash(one: SecretBinding, other: SecretBinding) -> bool:
    """Whether a request could get either, with nothing to choose by."""
    return (
        one.place == other.place
        and one.agent == other.agent
        and one.header.lower() == other.header.lower()
        and bool({*one.endpoint.methods} & {*other.endpoint.methods})
    )


def _kind(key: str | None) -> KeyKind | None:
    if key is None:
        return None
    if key not in list(KeyKind):
        raise BadRequest(f"--key wants {', '.join(KeyKind)}")
    return KeyKind(key)
