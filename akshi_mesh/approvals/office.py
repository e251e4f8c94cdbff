"""All of a node that asks people and answers for them, joined once and handed to the switchboard.

agents ──▶ ApprovalDesk ──▶ Telling ──▶ operators' nodes
                ▲               │
this node's operator ──▶ SeenQuestions ◀── questions of other nodes
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import trio

from akshi_mesh.approvals.desk import ApprovalDesk
from akshi_mesh.approvals.message import Answer
from akshi_mesh.approvals.seen import SCHEMA as SEEN_SCHEMA
from akshi_mesh.approvals.seen import SeenQuestions
from akshi_mesh.approvals.steady_clock import SteadyClock
from akshi_mesh.approvals.table import SCHEMA as TABLE_SCHEMA
from akshi_mesh.approvals.table import ApprovalTable
from akshi_mesh.approvals.telling import Telling
from akshi_mesh.config.model import ApprovalConfig
from identity.envelope import APPROVAL_LIFE_MS_MAX, Envelope, Kind, seal
from identity.keys import SigningKey
from sandbox.errors import AuditUnavailable
from sandbox.ports import AuditPort
from sync.clock import Moment
from sync.proto.messages import ENVELOPE
from sync.store.database import Database

SCHEMA = (*TABLE_SCHEMA, SEEN_SCHEMA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What the office needs of the node.

    Attributes:
        is_trusted: whether a public key is one of a peer that is served now.
        send: a message for a link; False if there is none or it is full.
        stored_ms: the highest wall clock that any run has kept.
    """

    key: SigningKey
    network: str
    is_trusted: Callable[[bytes], bool]
    send: Callable[[bytes, int, bytes], bool]
    clock: Callable[[], Moment]
    stored_ms: int
    nonce: Callable[[], bytes]
    draw: Callable[[int], bytes]


class ApprovalOffice:
    """Questions of our agents in `desk`, those of other nodes in `seen`."""

    def __init__(
        self, database: Database, audit: AuditPort, config: ApprovalConfig, around: Around
    ) -> None:
        self._around = around
        self._operators = {did.public_key: str(did) for did in config.operators}
        self._me = str(around.key.did)
        stored_ms = max(around.stored_ms, ApprovalTable(database).high_ms())
        clock = SteadyClock(around.clock, stored_ms=stored_ms)
        self.desk = ApprovalDesk(
            database, audit, clock=clock, entitled=self.is_entitled, draw=around.draw
        )
        self.seen = SeenQuestions(
            database, me=self._me, seal=self._sealed, send=self._send, now_ms=clock.ms
        )
        self.changed = trio.Event()  # another one after each change
        self.desk.listen(lambda _: self._has_changed())
        self.seen.listen(self._has_changed)
        self._telling = Telling(self.desk, self._post, operators=self._entitled_keys)

    def is_entitled(self, operator: str) -> bool:
        """Whether this DID may answer now: this node, or a trusted one that the config names."""
        return operator == self._me or any(
            operator == self._operators[key] for key in self._entitled_keys()
        )

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Keep time and send what has not arrived, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.desk.run)
            await nursery.start(self.seen.run)
            task_status.started()
        raise AssertionError("unreachable: both run until they are cancelled")

    # --- for the switchboard ----------------------------------------------------------------------

    def greet(self, peer: bytes) -> None:
        """A link came up."""
        self._telling.greet(peer)
        self.seen.go_on(peer)

    def part(self, peer: bytes) -> None:
        """Its link has ended."""
        self._telling.part(peer)

    def go_on(self, peer: bytes) -> None:
        """Its link has room again."""
        self._telling.go_on(peer)
        self.seen.go_on(peer)

    def take(self, peer: bytes, envelope: Envelope) -> str | None:
        """Take what `peer` has signed for this node; why it was turned away, or None.

        Raises:
            MalformedAnswer: no correct node sends this.
            StoreError: it could not be kept, and must be offered again.
        """
        if envelope.kind is Kind.APPROVAL_REQUEST:
            return self.seen.take(peer, envelope)
        assert envelope.kind is Kind.APPROVAL, "the mesh hands on these two kinds"
        try:
            return self._telling.take(peer, envelope)
        except AuditUnavailable:  # unconfirmed, it comes again
            return "an approval that could not be written down"

    # --- inside -----------------------------------------------------------------------------------

    def _has_changed(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    def _entitled_keys(self) -> list[bytes]:
        return [key for key in self._operators if self._around.is_trusted(key)]

    def _post(self, peer: bytes, kind: Kind, body: bytes, *, expires_ms: int) -> bool:
        data = self._signed(peer, kind, body, expires_ms=expires_ms)
        return self._around.send(peer, ENVELOPE, data)

    def _sealed(self, peer: bytes, answer: Answer, *, expires_ms: int) -> bytes:
        return self._signed(peer, Kind.APPROVAL, answer.to_cbor(), expires_ms=expires_ms)

    def _signed(self, peer: bytes, kind: Kind, body: bytes, *, expires_ms: int) -> bytes:
        around = self._around
        issued_ms = around.clock().wall_ms
        return seal(
            around.key,
            kind=kind,
            body=body,
            network=around.network,
            nonce=around.nonce(),
            issued_ms=issued_ms,
            # Our steady clock may be ahead of a wall clock that was set back.
            expires_ms=min(expires_ms, issued_ms + APPROVAL_LIFE_MS_MAX),
            audience=peer,
        )

    def _send(self, peer: bytes, envelope: bytes) -> bool:
        return self._around.send(peer, ENVELOPE, envelope)
