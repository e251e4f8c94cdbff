"""The secrets broker: gives a request its secrets at the last moment, and looks for them after.

    names_for ─▶ [every check of the gate] ─▶ leaks? ─▶ injections ─▶ wire ─▶ redactor ─▶ guest
                                               │            │ recorded         │
                                               └────────────┴── rationed ──────┘

What is revoked, locked or without a value is refused, never left out: a request that its owner
bound to a secret does not go without it. Every use is a record; what is found in requests and
answers is one, too, equal ones of a second in one with a count.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog
import trio

from akshi_mesh.secrets.errors import BoxUnwritable
from akshi_mesh.secrets.grants import Grants
from akshi_mesh.secrets.source import Held, all_held
from akshi_mesh.secrets.vault import RETIRED_MS, Vault
from identity.errors import KeyFileError
from sandbox.audit import AuditRecord, Event, Folding
from sandbox.budget import Budget
from sandbox.endpoint import Url
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sandbox.ports import AuditPort
from sandbox.redaction import Redactor, Watch, leak_in
from sandbox.secrets import Injection, SecretSource, chosen, texts_of

log = structlog.get_logger()

FLUSH_S: Final = 1.0
# A guest that holds a secret has it from somewhere: after ten attempts within a minute to send
# it on, it gets none for a minute.
LEAKS_MAX: Final = 10
LEAKS_PER_S: Final = LEAKS_MAX / 60
HELD_OFF_MS: Final = 60_000


@dataclass(slots=True)
class Use:
    """How often a grant was used since the node started, and when last."""

    count: int = 0
    last_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Gone:
    """A removed secret, looked for as long as an answer to its last use may come."""

    watch: Watch
    until_ms: int


class Broker:
    """`SecretsPort` of the running node; also a service that writes down what was folded."""

    def __init__(
        self,
        vault: Vault,
        grants: Grants,
        *,
        sources: tuple[SecretSource, ...],
        environ: Mapping[str, str],
        audit: AuditPort,
        now_ms: Callable[[], int],
    ) -> None:
        self.vault = vault
        self.grants = grants
        self.uses: dict[tuple[str, str, str], Use] = {}
        self._sources = sources
        self._environ = environ
        self._audit = audit
        self._now_ms = now_ms
        self._folding = Folding()
        self._leaks: dict[str, Budget] = {}
        self._held_off: dict[str, int] = {}
        self._gone: list[_Gone] = []
        self._watches: tuple[Watch, ...] = ()
        self._fresh_until_ms: float = 0
        self.refresh()

    @property
    def held(self) -> tuple[Held, ...]:
        """Every binding, with its value or why there is none."""
        return tuple(self._held.values())

    def refresh(self) -> None:
        """The vault has changed."""
        self._held = all_held(self.vault, self._sources, self._environ)
        self._fresh_until_ms = 0

    def removed(self, name: str, texts: tuple[bytes, ...]) -> None:
        """`name` is no more in the box; `texts` may still come back for a day, until a restart."""
        self._gone.append(_Gone(Watch.over(name, *texts), self._now_ms() + RETIRED_MS))
        self.refresh()

    def names_for(self, agent: str, url: Url, method: str) -> tuple[str, ...]:
        """The secrets that this request would carry, for who is asked to approve it."""
        return tuple(sorted(binding.name for binding in chosen(self._held, agent, url, method)))

    def injections(self, agent: str, url: Url, method: str) -> tuple[Injection, ...]:
        """The headers to set now. Every one is recorded as used before this returns.

        Raises:
            PortRefused: a grant is revoked, a value is missing, or the agent leaked too often.
            AuditUnavailable: the use could not be recorded; nothing may be sent.
        """
        wanted = [self._held[binding] for binding in chosen(self._held, agent, url, method)]
        if wanted and self._now_ms() < self._held_off.get(agent, 0):
            why = "secrets were found in too many requests of this agent"
            raise PortRefused(FaultCode.RATE_LIMITED, why)
        found = [self._injection(held, agent) for held in wanted]
        for held in wanted:
            self._note_use(agent, held)
        return tuple(found)

    def leaks(self, agent: str, *texts: bytes) -> str | None:
        """The name of a secret in what a guest wants to send; it is then recorded, and counted.

        Raises:
            AuditUnavailable: it was found and could not be recorded.
        """
        name = leak_in(self._watched(), *texts)
        if name is not None:
            self._count_leak(agent)
            self._fold(agent, name, "leak")
        return name

    def redactor(self, agent: str) -> Redactor:
        """For one answer to `agent`: every secret of this node, whoever may use it.

        What it finds is recorded: its methods raise AuditUnavailable where that fails.
        """
        return Redactor(self._watched(), lambda name: self._fold(agent, name, "redacted"))

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Write what was folded when its second is over, and the rest at the end."""
        task_status.started()
        try:
            while True:
                await trio.sleep(FLUSH_S)
                self._write(self._folding.due(self._now_ms()))
                self._forget()
        finally:
            self._write(self._folding.drain())

    def _write(self, records: list[AuditRecord]) -> None:
        """How often it was found, after the first: where that is lost, the node goes on."""
        try:
            for record in records:
                self._audit.record(record)
        except AuditUnavailable as unavailable:
            log.warning("audit.unavailable", why=str(unavailable), hint=unavailable.hint)

    def _forget(self) -> None:
        """Old values leave the disk when nobody looks for them any more."""
        try:
            self.vault.forget_retired(self._now_ms())
        except (BoxUnwritable, KeyFileError) as failure:
            log.warning("secrets.kept", why=str(failure))

    def _injection(self, held: Held, agent: str) -> Injection:
        binding = held.binding
        if self.grants.revoked(binding.name, agent, binding.place):
            why = f"the grant of secret {binding.name!r} is revoked"
            raise PortRefused(FaultCode.NOT_ALLOWED, why)
        if held.value is None:
            raise PortRefused(FaultCode.UNAVAILABLE, held.why)
        return Injection(binding.name, binding.header, binding.written(held.value))

    def _note_use(self, agent: str, held: Held) -> None:
        binding = held.binding
        self._audit.record(self._record(agent, binding.name, "used", detail=binding.place))
        use = self.uses.setdefault((binding.name, agent, binding.place), Use())
        use.count += 1
        use.last_ms = self._now_ms()

    def _fold(self, agent: str, name: str, code: str) -> None:
        for record in self._folding.admit(self._record(agent, name, code, detail="")):
            self._audit.record(record)

    def _record(self, agent: str, name: str, code: str, *, detail: str) -> AuditRecord:
        return AuditRecord(
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

    def _count_leak(self, agent: str) -> None:
        now_ms = self._now_ms()
        if agent not in self._leaks:
            budget = Budget(burst=LEAKS_MAX, per_s=LEAKS_PER_S, now_s=now_ms / 1000)
            self._leaks[agent] = budget
        self._leaks[agent].charge(1)
        if self._leaks[agent].wait_s(now_ms / 1000) > 0:
            self._held_off[agent] = now_ms + HELD_OFF_MS

    def _watched(self) -> tuple[Watch, ...]:
        """All values in use, and those that were in the last 24 hours."""
        now_ms = self._now_ms()
        if now_ms >= self._fresh_until_ms:
            self._watches, self._fresh_until_ms = self._watch(now_ms)
        return self._watches

    def _watch(self, now_ms: int) -> tuple[tuple[Watch, ...], float]:
        """The watches of this moment, and when the next of them ends."""
        values: dict[str, dict[str, list[str]]] = {}
        ends: list[int] = []
        for held in self._held.values():
            if held.value is not None:
                of_name = values.setdefault(held.binding.name, {})
                of_name.setdefault(held.value, []).append(held.binding.format)
        for entry in self.vault.entries.values():
            for old in entry.retired:
                if old.until_ms > now_ms:
                    formats = [binding.format for binding in entry.bindings]
                    values[entry.name].setdefault(old.value, []).extend(formats)
                    ends.append(old.until_ms)
        self._gone = [gone for gone in self._gone if gone.until_ms > now_ms]
        ends.extend(gone.until_ms for gone in self._gone)
        watches = [
            Watch.over(
                name, *(t for value, formats in of.items() for t in texts_of(value, formats))
            )
            for name, of in values.items()
        ]
        watches.extend(gone.watch for gone in self._gone)
        return tuple(watches), min(ends, default=math.inf)
