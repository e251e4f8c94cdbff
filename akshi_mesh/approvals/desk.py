"""Where agents ask and people answer: the node's `ApprovalPort`, and what the command line asks.

    ask ──▶ row, audit record ──▶ told: here, on operators' nodes ──▶ vote ──▶ who waits
                                                     time, withdraw ──▶ who waits

A row is written before anybody is told of it, and decided on the disk (fsync) before anybody
acts on it. A waiter that is cancelled leaves its row: when the node comes back, the same call
of the same task finds it again, pending or decided.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

import structlog
import trio

from akshi_mesh.approvals.errors import NotAnOperator, UnknownApproval
from akshi_mesh.approvals.steady_clock import SteadyClock
from akshi_mesh.approvals.table import ApprovalTable
from sandbox.approval_life import Approval, Standing, storm
from sandbox.approvals import Decision, Question, TimedOut, TooMany
from sandbox.audit import AuditRecord, Event
from sandbox.errors import (
    ApprovalClosed,
    AuditUnavailable,
    MalformedApproval,
    OtherSubject,
    PortRefused,
)
from sandbox.fault import FaultCode
from sandbox.ports import AuditPort
from sync.errors import DatabaseDamaged, StoreBusy, StoreError, StoreFull, StoreReadOnly
from sync.store.database import Database

ID_BYTES: Final = 8
WITHDRAWN_MAX: Final = 32  # of one agent within a minute; then nobody is asked until it is over
PAUSE_S_MAX: Final = 5.0  # between two looks at the clock while something is open: it may jump
TROUBLE_PAUSE_S: Final = 1.0

log = structlog.get_logger()

_EVENTS: Final = {
    Standing.PENDING: Event.ASKED,
    Standing.APPROVED: Event.APPROVED,
    Standing.USED: Event.CONSUMED,
    Standing.DENIED: Event.DENIED,
    Standing.EXPIRED: Event.EXPIRED,
    Standing.WITHDRAWN: Event.WITHDRAWN,
}


class ApprovalDesk:
    """Questions of the agents of this node.

    Args:
        database: keeps the rows; each change and its audit record commit together.
        audit: where each step is written down.
        clock: never goes back.
        entitled: whether a DID is an operator now; this node always is.
        draw: the node's source of randomness.
    """

    def __init__(
        self,
        database: Database,
        audit: AuditPort,
        *,
        clock: SteadyClock,
        entitled: Callable[[str], bool],
        draw: Callable[[int], bytes],
    ) -> None:
        self.table = ApprovalTable(database)
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entitled = entitled
        self._draw = draw
        self._waiting: dict[str, trio.Event] = {}
        self._stir = trio.Event()
        self._listeners: list[Callable[[Approval], None]] = []

    def listen(self, listener: Callable[[Approval], None]) -> None:
        """Call `listener` after each change that has committed, but a use. It must not raise."""
        self._listeners.append(listener)

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Let what is over expire, until cancelled."""
        task_status.started()
        while True:
            try:
                self.expire()
                pause_s = self._pause_s()
            except (StoreFull, StoreReadOnly, StoreBusy, AuditUnavailable) as trouble:
                # Nobody gets a yes that is over, whether or not that can be written down.
                log.warning("approval.trouble", why=str(trouble), hint=trouble.hint)
                pause_s = TROUBLE_PAUSE_S
            with trio.move_on_after(pause_s):
                await self._stir.wait()
            self._stir = trio.Event()

    # --- for agents -------------------------------------------------------------------------------

    async def ask(self, question: Question) -> Decision:
        """Wait for the answer to `question`; cancelling leaves it open.

        Raises:
            PortRefused: nobody could be asked.
            AuditUnavailable: it could not be written down, so nobody was asked.
        """
        with _store_refuses():
            found = self._find_or_begin(question)
        if isinstance(found, TooMany):
            return found
        while True:
            with _store_refuses():
                approval = self._readable(found)
            if approval is None:  # pruned, long after it closed
                return TimedOut()
            now_ms = self._clock.ms()
            decision = approval.at(now_ms).decision
            if decision is not None:
                return decision
            changed = self._waiting.setdefault(found, trio.Event())
            with trio.move_on_after((approval.expires_ms - now_ms) / 1_000):
                await changed.wait()

    def consume(self, approval: str, subject: bytes, *, now_ms: int) -> None:
        """Use `approval` up for `subject`, inside the open transaction.

        Raises:
            PortRefused: not approved, expired, used already, or another subject.
            AuditUnavailable: the use could not be written down.
        """
        with _store_refuses(), self._database.transaction(fsync=True):
            row = self._readable(approval)
            if row is None:
                raise _denied("there is no such approval")
            try:
                used = row.used(subject=subject, now_ms=max(now_ms, self._clock.ms()))
            except OtherSubject as other:
                raise _denied("it was given for something else") from other
            except ApprovalClosed as closed:
                if closed.state == Standing.EXPIRED.value:
                    why = "approval_timeout: it expired before it was used"
                    raise PortRefused(FaultCode.APPROVAL_TIMEOUT, why) from closed
                raise _denied(f"it is {closed.state}") from closed
            if not all(self._entitled(vote.operator) for vote in used.votes):
                raise _denied("an operator who approved is none any more")
            self._keep(used)

    def withdraw(self, task_id: bytes, why: str) -> None:
        """Nobody waits any more for what this task asked. Called outside of transactions."""
        with _store_refuses(), self._changes() as changed:
            now_ms = self._clock.ms()
            for row in self.table.open_of_task(task_id):
                changed.append(self._keep(row.withdrawn(why, now_ms=now_ms)))

    # --- for people -------------------------------------------------------------------------------

    def vote(
        self, id: str, operator: str, *, approves: bool, subject: bytes | None, note: str = ""
    ) -> Approval:
        """Take the vote of `operator`, a DID that whoever calls has proven.

        Args:
            id: of the approval.
            operator: this node, or a DID that the configuration names.
            approves: yes or no.
            subject: what it is about; None where the person has just been shown the row.
            note: for the agent to read, made inert where it is shown.

        Raises:
            UnknownApproval: there is none of this id.
            NotAnOperator: the vote does not count here.
            OtherSubject, ApprovalClosed, AlreadyVoted: as they say.
            StoreError, AuditUnavailable: it was not kept, so it was not cast.
        """
        self.expire()
        with self._changes() as changed:
            row = self.table.get(id)
            if row is None:
                raise UnknownApproval(id)
            if not self._entitled(operator):
                raise NotAnOperator(operator)
            about = row.subject.hash if subject is None else subject
            # A yes of somebody who is no operator any more counts for nothing.
            row = row.counting(self._entitled)
            after = row.voted(
                operator, approves=approves, subject=about, now_ms=self._clock.ms(), note=note
            )
            changed.append(self._keep(after))
        return after

    def expire(self) -> None:
        """Close what is over by now."""
        now_ms = self._clock.ms()
        next_ms = self.table.next_expiry_ms()
        if next_ms is None or now_ms < next_ms:
            return
        with self._changes() as changed:
            changed += [self._keep(row.at(now_ms)) for row in self.table.overdue(now_ms)]
            self.table.close_unreadable(now_ms)

    def now_ms(self) -> int:
        return self._clock.ms()

    # --- inside -----------------------------------------------------------------------------------

    def _find_or_begin(self, question: Question) -> str | TooMany:
        """The id of the row that stands for `question`, old or new."""
        agent, capability = question.subject.agent, question.subject.capability
        with self._changes(durable=False) as changed:
            now_ms = self._clock.ms()
            try:
                last = self.table.last_of_call(question.task_id, question.number)
            except MalformedApproval as malformed:
                raise _denied(f"what was asked before cannot be read: {malformed.why}") from None
            if last is not None and last.standing is not Standing.WITHDRAWN:
                if last.subject.hash == question.subject.hash:
                    return last.id
                if last.is_open:
                    why = "the same call asks for something else now, or under another policy"
                    changed.append(self._keep(last.withdrawn(why, now_ms=now_ms)))
            denied_ms = self.table.denied_ms(agent, capability.value, now_ms=now_ms)
            why_not = storm(
                pending=self.table.count_open(agent), denied_ms=denied_ms, now_ms=now_ms
            )
            if why_not is not None:
                return TooMany(why_not)
            # Whoever sends tasks and takes them back must not fill people's screens.
            if self.table.count_withdrawn(agent, since_ms=now_ms - 60_000) >= WITHDRAWN_MAX:
                return TooMany(f"{WITHDRAWN_MAX} questions were taken back within a minute")
            self.table.prune(agent, now_ms=now_ms)
            id = f"apr-{self._draw(ID_BYTES).hex()}"
            approval = Approval.asked(id, question, now_ms=now_ms)
            changed.append(self._keep(approval))
        self._stir.set()  # it may be the first to expire
        log.warning(
            "approval.asked",
            approval=id,
            agent=agent,
            what=approval.summary,
            tier=approval.risk.tier.value,
            expires_s=question.timeout_s,
            hint=f"akshi-node approvals show {id}",
        )
        return id

    @contextlib.contextmanager
    def _changes(self, *, durable: bool = True) -> Iterator[list[Approval]]:
        """A transaction; what was put into the list is told when it has committed.

        A question that a power cut takes away is asked again, so only answers are `durable`.
        """
        changed: list[Approval] = []
        with self._database.transaction(fsync=durable):
            yield changed
        for approval in changed:
            self._tell(approval)

    def _keep(self, approval: Approval) -> Approval:
        """Save a row with the record of its step."""
        self.table.save(approval)
        self._audit.record(_record(approval))
        return approval

    def _tell(self, approval: Approval) -> None:
        if approval.standing is not Standing.PENDING:
            waiting = self._waiting.pop(approval.id, None)
            if waiting is not None:
                waiting.set()
            log.info("approval.ended", approval=approval.id, state=approval.standing.value)
        for listener in self._listeners:
            listener(approval)

    def _readable(self, id: str) -> Approval | None:
        try:
            return self.table.get(id)
        except MalformedApproval as malformed:
            raise _denied(f"the approval cannot be read: {malformed.why}") from malformed

    def _pause_s(self) -> float:
        next_ms = self.table.next_expiry_ms()
        if next_ms is None:
            return float("inf")
        return min(max(0.0, (next_ms - self._clock.ms()) / 1_000), PAUSE_S_MAX)


def _record(approval: Approval) -> AuditRecord:
    """What the audit log keeps of the step that made `approval` what it is."""
    subject, risk = approval.subject, approval.risk
    facts = [("subject", approval.id), ("hash", subject.hash.hex())]
    event, detail = _EVENTS[approval.standing], approval.summary
    if approval.standing is Standing.PENDING and approval.votes:
        event = Event.APPROVED  # one of several that it needs
        facts.append(("votes", f"{len(approval.votes)} of {approval.quorum}"))
    if event is Event.ASKED:
        facts += risk.facts()
    if event in {Event.APPROVED, Event.DENIED}:
        facts.append(("by", approval.votes[-1].operator))
        detail = approval.votes[-1].note or detail
    if event is Event.WITHDRAWN:
        detail = approval.why
    return AuditRecord(
        at_ms=approval.changed_ms,
        event=event,
        agent=subject.agent,
        originator=subject.originator,
        task_id=approval.task_id,
        number=approval.number,
        function=subject.function,
        code="",
        detail=detail,
        request_hash=b"",
        facts=tuple(facts),
    )


def _denied(why: str) -> PortRefused:
    return PortRefused(FaultCode.APPROVAL_DENIED, f"approval_denied: {why}")


@contextlib.contextmanager
def _store_refuses() -> Iterator[None]:
    """A disk that takes nothing is the guest's to hear of."""
    try:
        yield
    except DatabaseDamaged:
        raise  # nothing of this store is to be used any more
    except StoreError as trouble:
        log.error("store.trouble", why=str(trouble), hint=trouble.hint)
        raise PortRefused(FaultCode.UNAVAILABLE, "the node's disk takes nothing now") from trouble
