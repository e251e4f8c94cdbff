"""Offices of several nodes, joined by links that carry at once and in order."""

import trio
import trio.testing

from akshi_mesh.approvals.office import SCHEMA, ApprovalOffice, Around
from akshi_mesh.approvals.seen import Seen
from akshi_mesh.config.model import ApprovalConfig
from identity import SigningKey
from identity.envelope import Envelope, open_envelope
from sandbox.approval_life import Approval
from sandbox.approvals import Decision, Question
from sync.store.database import Database
from tests.akshi_mesh.approvals.desks import ALICE, BOB, MALLORY, ME, World
from tests.sandbox.questions import question

NETWORK = "test"
NODE = ME  # asks; ALICE and BOB are its operators


class Site:
    """One node's office, joined to others by `Net`."""

    def __init__(self, net: "Net", key: SigningKey, operators: tuple[SigningKey, ...]) -> None:
        self.net, self.key = net, key
        self.world = World(Database.open(":memory:", schemas=SCHEMA))
        self.config = ApprovalConfig(tuple(operator.did for operator in operators))
        self.trusted = {other.public_key for other in (ME, ALICE, BOB, MALLORY)}
        self.room = True
        self.start()

    def start(self) -> None:
        """A new run of the node over the same store."""
        self.office = ApprovalOffice(
            self.world.database,
            self.world,
            self.config,
            Around(
                key=self.key,
                network=NETWORK,
                is_trusted=self.trusted.__contains__,
                send=self._send,
                clock=self.net.world.moment,
                stored_ms=0,
                nonce=lambda: self.world.draw(16),
                draw=self.world.draw,
            ),
        )

    def _send(self, peer: bytes, _: int, data: bytes) -> bool:
        return self.room and self.net.carry(self.key.public_key, peer, data)


class Net:
    """Links that carry at once and in order, and remember what they carried."""

    def __init__(self) -> None:
        self.world = World()
        self.sites: dict[bytes, Site] = {}
        self.links: set[frozenset[bytes]] = set()
        self.carried: list[tuple[bytes, bytes, bytes]] = []
        self.refused: list[str | None] = []

    def site(self, key: SigningKey, *operators: SigningKey) -> Site:
        self.sites[key.public_key] = Site(self, key, operators)
        return self.sites[key.public_key]

    def link(self, one: SigningKey, two: SigningKey) -> None:
        self.links.add(frozenset((one.public_key, two.public_key)))
        self.sites[one.public_key].office.greet(two.public_key)
        self.sites[two.public_key].office.greet(one.public_key)

    def cut(self, one: SigningKey, two: SigningKey) -> None:
        self.links.remove(frozenset((one.public_key, two.public_key)))
        self.sites[one.public_key].office.part(two.public_key)
        self.sites[two.public_key].office.part(one.public_key)

    def carry(self, sender: bytes, receiver: bytes, data: bytes) -> bool:
        if frozenset((sender, receiver)) not in self.links:
            return False
        self.carried.append((sender, receiver, data))
        self.refused.append(self.deliver(sender, receiver, data))
        return True

    def deliver(self, sender: bytes, receiver: bytes, data: bytes) -> str | None:
        """As the mesh does: opened for the receiver, and only from its author."""
        opened = self.open(receiver, data)
        assert opened.author == sender, "the mesh refuses envelopes of others"
        return self.sites[receiver].office.take(sender, opened)

    def open(self, receiver: bytes, data: bytes) -> Envelope:
        return open_envelope(data, network=NETWORK, me=receiver, now_ms=self.world.wall_ms)


class Asking:
    def __init__(self, site: Site, nursery: trio.Nursery, **changes: object) -> None:
        self.decision: Decision | None = None
        nursery.start_soon(self._ask, site, question(**changes))

    async def _ask(self, site: Site, asked: Question) -> None:
        self.decision = await site.office.desk.ask(asked)


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


def seen(site: Site) -> Seen:
    (one,) = site.office.seen.all()
    return one


def row(site: Site) -> Approval:
    (one,) = site.office.desk.table.open()
    return one


def answered(site: Site, *, approves: bool = True, note: str = "") -> Seen:
    one = seen(site)
    return site.office.seen.answer(
        one.peer,
        one.approval.id,
        approves=approves,
        subject=one.approval.subject.hash,
        note=note,
    )
