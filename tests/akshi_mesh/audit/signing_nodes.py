"""Two task engines whose audit logs hold what both have signed."""

import itertools

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.log import SCHEMA as LOG_SCHEMA
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.audit.receipts import SCHEMA, Receipts
from sandbox.audit import AuditRecord
from tests.sync.task_nodes import Clock, Node, deliver, linked, ready


class SigningNode(Node):
    """A node of the task tests with an audit log."""

    def __post_init__(self) -> None:
        super().__post_init__()
        with self.db.transaction():
            for statement in (*LOG_SCHEMA, *SCHEMA):
                self.db.execute(statement)
        salts = (b"%016d" % n for n in itertools.count())
        self.audit = AuditLog(
            self.db, draw=lambda _: next(salts), wall_ms=lambda: self.clock.now.wall_ms
        )
        self.receipts = Receipts(
            self.db, self.audit, me=self.me, wall_ms=lambda: self.clock.now.wall_ms
        )
        self.witness = self.receipts
        self.restart()

    @property
    def leaves(self) -> list[AuditRecord]:
        return [record for _, record in AuditBook(self.db).tail(limit=100)]


def signing_pair() -> tuple[SigningNode, SigningNode]:
    """Ann and Bob, linked; Bob's agent `echo` is ready."""
    clock = Clock()
    ann, bob = SigningNode("ann", clock), SigningNode("bob", clock)
    ready(bob)
    linked(ann, bob)
    return ann, bob


def done(ann: SigningNode, bob: SigningNode, text: str = "hello") -> bytes:
    """A task of Ann's that Bob has done, up to the last receipt."""
    task_id = ann.submit(bob, text)
    deliver(ann, bob)
    bob.finish_all()
    deliver(ann, bob)
    ann.clock.mono_s += 0.1
    ann.wake()
    deliver(ann, bob)
    return task_id
