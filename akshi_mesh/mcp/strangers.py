"""What servers say, made fit for our log and for guests."""

from collections.abc import Callable
from typing import Final

import structlog
import trio

from akshi_mesh.inert import inert
from sandbox import guest_json
from sandbox.budget import Budget
from sandbox.errors import ActFailed, AuditUnavailable, MalformedJson
from sandbox.fault import FaultCode

log = structlog.get_logger()

ANSWER_BYTES_MAX: Final = 1 << 20  # what a host call may answer
LINES_AT_ONCE: Final = 20  # of a server's standard error, then one a second
SHOWN_CHARS_MAX: Final = 300


class Complaints:
    """A server's standard error in our log: harmless, and not more than is read."""

    def __init__(self, agent: str, server: str) -> None:
        self._who = {"agent": agent, "server": server}
        self._budget = Budget(burst=LINES_AT_ONCE, per_s=1, now_s=trio.current_time())
        self._left_out = 0

    def said(self, line: str) -> None:
        if not self._budget.take(trio.current_time()):
            self._left_out += 1
            return
        log.info("mcp.said", text=inert(line), left_out=self._left_out, **self._who)
        self._left_out = 0


def bounded(answer: object, lost: FaultCode) -> str:
    try:
        text = guest_json.write(answer)
    except MalformedJson as malformed:
        raise ActFailed(lost, f"the server's answer cannot be passed on: {malformed}") from None
    if len(text) > ANSWER_BYTES_MAX or len(text.encode()) > ANSWER_BYTES_MAX:
        raise ActFailed(lost, f"the server's answer is over {ANSWER_BYTES_MAX} bytes")
    return text


def first_of(failures: BaseExceptionGroup[Exception]) -> Exception:
    """The first of them that is no group, which says most of what went wrong."""
    found: BaseException = failures
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, Exception)
    return found


def shown(failure: Exception, clean: Callable[[str], str]) -> str:
    """One line of a failure whose words may be a stranger's.

    `clean` takes secrets out: before anything is cut, or the start of one would be left.
    """
    try:
        text = clean(str(failure))
    except AuditUnavailable:  # one was found, and nobody can be told: then nothing is
        return type(failure).__name__
    return inert(" ".join(text.split()))[:SHOWN_CHARS_MAX] or type(failure).__name__
