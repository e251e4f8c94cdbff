"""Asks a peer what it holds of the tasks between us, answers the same question, and judges.

Only tasks between the two are ever told. A peer that asks too often is told so. What the other
side signed is kept with each contradiction, so that it can be shown to others.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import structlog
import trio

from akshi_mesh.api.errors import PeerSilent
from akshi_mesh.api.shapes_audit import ListedFinding, ReconcileReport
from akshi_mesh.audit import receipts
from akshi_mesh.audit.errors import MalformedReconcile
from akshi_mesh.audit.receipts import Receipts
from akshi_mesh.audit.reconcile import (
    AGREES,
    CONTRADICTS,
    ONE_SIDED,
    PAGE_ROWS,
    Finding,
    Page,
    Question,
    Row,
    compare,
    pairs,
)
from identity.did import Did
from identity.envelope import Envelope, Kind, open_envelope, seal_with_id
from identity.errors import IdentityError
from identity.keys import SigningKey
from sandbox.budget import Budget
from sync.errors import MalformedTask
from sync.proto.messages import ENVELOPE
from sync.proto.task_bodies import load_receipts
from sync.proto.task_states import Disposition
from sync.store.database import Database

log = structlog.get_logger()

ANSWER_S: Final = 10.0
QUESTIONS_BURST: Final = 100
QUESTIONS_PER_S: Final = 20.0
BUSY_S: Final = 1.0
TRIES: Final = 10
PAGES_MAX: Final = 2_000  # as many as the other side may hold, and some
LISTED_MAX: Final = 50
QUESTION_LIFE_MS: Final = 60_000
ASKERS_MAX: Final = 1_024


class Send(Protocol):
    """Send a message to a peer; False if it cannot be taken now."""

    def __call__(self, peer: bytes, message_type: int, body: bytes) -> bool: ...


class Reconciler:
    """Both sides of the conversation."""

    def __init__(
        self,
        key: SigningKey,
        database: Database,
        held: Receipts,
        send: Send,
        *,
        network: str,
        nonce: Callable[[], bytes],
        wall_ms: Callable[[], int],
    ) -> None:
        self._key = key
        self._database = database
        self._held = held
        self._send = send
        self._network = network
        self._nonce = nonce
        self._wall_ms = wall_ms
        self._asked: dict[bytes, tuple[bytes, trio.MemorySendChannel[Envelope]]] = {}
        self._budgets: OrderedDict[bytes, Budget] = OrderedDict()

    # --- what peers say ---------------------------------------------------------------------------

    def take(self, peer: bytes, envelope: Envelope) -> None:
        """A question, or an answer to ours; its signature was checked.

        Raises:
            MalformedReconcile: no correct node sends this.
        """
        if envelope.kind is Kind.RECONCILE:
            page = self._page(peer, Question.from_cbor(envelope.body))
            _, data = self._sealed(peer, Kind.RECONCILED, page.to_cbor(), about=envelope.id)
            self._send(peer, ENVELOPE, data)  # a full link loses it, and it is asked again
            return
        peer_asked, answers = self._asked.get(envelope.in_reply_to or b"", (b"", None))
        if answers is not None and peer_asked == peer:
            try:
                answers.send_nowait(envelope)
            except trio.WouldBlock:
                log.debug("audit.answered_twice", did=str(Did(peer)))

    def _page(self, peer: bytes, question: Question) -> Page:
        budget = self._budgets.pop(peer, None)
        now_s = trio.current_time()
        if budget is None:
            budget = Budget(burst=QUESTIONS_BURST, per_s=QUESTIONS_PER_S, now_s=now_s)
        self._budgets[peer] = budget
        if len(self._budgets) > ASKERS_MAX:
            self._budgets.popitem(last=False)
        if not budget.take(now_s):
            return Page(busy=True)
        if question.receipt_of:
            shown = receipts.one(self._database, peer, question.receipt_of, asked=False)
            return Page(receipt=b"" if shown is None else shown.receipt)
        rows = receipts.page(self._database, peer, question.after, PAGE_ROWS + 1)
        more = rows[PAGE_ROWS - 1].task_id if len(rows) > PAGE_ROWS else b""
        return Page(tuple(Row.of(held) for held in rows[:PAGE_ROWS]), more)

    # --- what the operator asks -------------------------------------------------------------------

    async def reconcile(self, peer: bytes) -> ReconcileReport:
        """Compare what both hold of every task between us and `peer`.

        Raises:
            PeerSilent: no link, no answer in time, or answers that no correct node gives.
        """
        counts = {AGREES: 0, ONE_SIDED: 0, CONTRADICTS: 0}
        found: list[Finding] = []
        after = b""
        for _ in range(PAGES_MAX):
            page, raw = await self._ask(peer, Question(after))
            for finding in await self._judge(peer, after, page, raw):
                counts[finding.verdict] += 1
                if finding.verdict != AGREES:
                    found = sorted([*found, finding], key=_by_time)[:LISTED_MAX]
            after = page.next
            if not after:
                break
        else:
            raise PeerSilent(f"{Did(peer)} goes on for ever")
        listed = [_listed(finding) for finding in found]
        return {
            "peer": str(Did(peer)),
            "agreed": counts[AGREES],
            "one_sided": counts[ONE_SIDED],
            "contradictory": counts[CONTRADICTS],
            "first": listed[0] if listed else None,
            "findings": listed,
        }

    async def _judge(self, peer: bytes, after: bytes, page: Page, raw: bytes) -> list[Finding]:
        findings: list[Finding] = []
        theirs, low = list(page.rows), after
        while True:
            ours = receipts.page(self._database, peer, low, PAGE_ROWS)
            is_all = len(ours) < PAGE_ROWS
            # Up to here both sides are known: their page may end first, or ours.
            high = page.next if is_all else min(ours[-1].task_id, page.next or ours[-1].task_id)
            mine = [held for held in ours if not high or held.task_id <= high]
            other = [row for row in theirs if not high or row.task_id <= high]
            theirs = theirs[len(other) :]
            for held, row in pairs(mine, other):
                findings.append(await self._settled(peer, held, row, raw))
            if not high or high == page.next:
                return findings
            low = high

    async def _settled(
        self, peer: bytes, ours: receipts.Held | None, theirs: Row | None, raw: bytes
    ) -> Finding:
        finding = compare(ours, theirs)
        if ours is None:
            return finding
        if finding.claims_receipt:
            why, shown = await self._shown(peer, ours, theirs)
            if why:
                finding = Finding(ours.task_id, CONTRADICTS, why, ours.at_ms)
                raw = shown
        if finding.verdict == CONTRADICTS:
            self._held.contradicted(ours, raw, f"reconciled: {finding.why}")
        return finding

    async def _shown(
        self, peer: bytes, ours: receipts.Held, theirs: Row | None
    ) -> tuple[str, bytes]:
        """Why the receipt that the peer claims to hold of us is none; its signed answer."""
        page, raw = await self._ask(peer, Question(receipt_of=ours.task_id))
        lacks = "it claims a receipt that this node did not sign"
        if not page.receipt or theirs is None:
            return lacks, raw
        try:
            receipt = open_envelope(
                page.receipt, network=self._network, me=peer, now_ms=self._wall_ms()
            )
            names = receipt.author == self._key.public_key and any(
                line.id == theirs.result_id and line.disposition is Disposition.DONE
                for line in load_receipts(receipt.body)
            )
        except (IdentityError, MalformedTask):
            return lacks, raw
        return ("" if names and receipt.id == theirs.receipt_id else lacks), raw

    async def _ask(self, peer: bytes, question: Question) -> tuple[Page, bytes]:
        for _ in range(TRIES):
            answers, inbox = trio.open_memory_channel[Envelope](1)
            about, data = self._sealed(peer, Kind.RECONCILE, question.to_cbor())
            self._asked[about] = peer, answers
            try:
                if not self._send(peer, ENVELOPE, data):
                    raise PeerSilent(f"no link to {Did(peer)}", hint="akshi-node peers")
                with trio.fail_after(ANSWER_S):
                    answer = await inbox.receive()
            except trio.TooSlowError as silence:
                raise PeerSilent(f"no answer from {Did(peer)} within {ANSWER_S:g} s") from silence
            finally:
                del self._asked[about]
            try:
                page = Page.from_cbor(answer.body, after=question.after)
            except MalformedReconcile as wrong:
                raise PeerSilent(f"{Did(peer)} answers nonsense: {wrong}") from wrong
            if not page.busy and (page.receipt is None) == (not question.receipt_of):
                return page, answer.raw
            await trio.sleep(BUSY_S)
        raise PeerSilent(f"{Did(peer)} has no time to answer")

    def _sealed(
        self, peer: bytes, kind: Kind, body: bytes, *, about: bytes | None = None
    ) -> tuple[bytes, bytes]:
        now_ms = self._wall_ms()
        return seal_with_id(
            self._key,
            kind=kind,
            body=body,
            network=self._network,
            nonce=self._nonce(),
            issued_ms=now_ms,
            expires_ms=now_ms + QUESTION_LIFE_MS if kind is Kind.RECONCILE else None,
            audience=peer,
            in_reply_to=about,
        )


def _by_time(finding: Finding) -> tuple[int, bytes]:
    return finding.at_ms, finding.task_id


def _listed(finding: Finding) -> ListedFinding:
    return {
        "task_id": finding.task_id.hex(),
        "verdict": finding.verdict,
        "why": finding.why,
        "at_ms": finding.at_ms,
    }
