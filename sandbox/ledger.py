"""One agent's hand on the audit log: folds what repeats, stops at the agent's budget."""

from dataclasses import replace

from sandbox.audit import AuditRecord, Event, Folding
from sandbox.budget import Budget
from sandbox.capability import FUNCTIONS
from sandbox.ports import AuditPort

# Guess, to be measured: a busy agent writes 1,000 lines a second, at 200 B each 17 GB a day.
RECORDS_BURST = 100_000
RECORDS_PER_S = 1_000.0


class Ledger:
    """Writes the records of one agent to `audit`."""

    def __init__(self, audit: AuditPort, *, now_s: float) -> None:
        self._audit = audit
        self._folding = Folding()
        self._budget = Budget(burst=RECORDS_BURST, per_s=RECORDS_PER_S, now_s=now_s)

    def record(self, record: AuditRecord, *, now_s: float) -> bool:
        """Keep `record`; False if the budget is spent, and then the act must not happen.

        A refusal is never turned away: when the budget is spent it loses its detail
        instead, so that all of one kind fold into one line a second.

        Raises:
            AuditUnavailable: the log took nothing.
        """
        if not _folds(record):
            if not self._budget.take(now_s):
                return False
            self._audit.record(record)
            return True
        if self._budget.wait_s(now_s) > 0:
            record = replace(record, detail="", request_hash=b"", task_id=b"", number=-1, facts=())
        self._write(self._folding.admit(record))
        return True

    def flush(self, now_ms: int) -> None:
        """Write what was folded and whose second is over. Raises as `record`."""
        self._write(self._folding.due(now_ms))

    def close(self) -> None:
        """Write all that was folded. Raises as `record`."""
        self._write(self._folding.drain())

    def _write(self, records: list[AuditRecord]) -> None:
        for record in records:
            self._budget.charge(1)
            self._audit.record(record)


def _folds(record: AuditRecord) -> bool:
    """Refusals, and calls that reach nothing but the task: many, alike, and without effect."""
    if record.event is Event.REFUSED:
        return True
    function = FUNCTIONS.get(record.function)
    return (
        record.event is not Event.VIOLATION and function is not None and function.capability is None
    )
