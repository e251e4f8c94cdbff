"""What a machine keeps while its node comes and goes: key, trust, clock, disk, its person."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from identity.keys import SigningKey
from sandbox.agent_spec import AgentSpec
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sync.clock import Moment
from sync.store.database import MEMORY, Durability
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.tasks_schema import SCHEMA as TASKS_SCHEMA
from testnet.world.disk import Disk
from testnet.world.guest import Errand

if TYPE_CHECKING:
    from testnet.world.process import Process

NETWORK = "world"
BOSS, WORKER, NOTES = "boss", "worker", "notes"
AGENTS = (BOSS, WORKER)
JOURNALS = (BOSS, WORKER, NOTES)  # an agent's journal carries its name
SLOTS = 2
BACKUPS_KEPT = 3

OUTSIDE = EndpointRule.parse("stub.example")


@dataclass(slots=True)
class Order:
    """What the person at a site wants done; asked for again until the node has taken it."""

    errand: Errand
    peer: bytes
    agent: str
    lives_ms: int | None = None
    cancel_after_s: float | None = None


@dataclass(slots=True)
class Note:
    """What the person wants written down; likewise."""

    text: str


@dataclass(eq=False, repr=False, slots=True)
class Site:
    """One machine. It is also the policy of the node that runs there."""

    index: int
    seed: int
    durability: Durability
    name: str = ""
    skew_ms: int = 0
    epochs: int = 0
    trusted: dict[bytes, None] = field(default_factory=dict)
    backups: list[bytes] = field(default_factory=list)
    desk: list[Order | Note] = field(default_factory=list)
    losses: int = 0  # how often this disk went back to an earlier state
    fuse: int | None = None  # points of the process until it dies
    fuse_at: str = ""  # only those count whose name holds this
    dies_by: str = ""
    process: "Process | None" = None
    key: SigningKey = field(init=False)
    agent_keys: dict[str, SigningKey] = field(init=False)
    specs: dict[str, AgentSpec] = field(init=False)
    disk: Disk = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.name or f"node-{self.index}"
        seed = hashlib.sha256(f"akshi world {self.seed} {self.index}".encode()).digest()
        self.key = SigningKey.from_seed(seed)
        self.agent_keys = {name: self.key.derive_agent(name, 0) for name in AGENTS}
        self.disk = Disk.open(
            MEMORY, schemas=(*TASKS_SCHEMA, *JOURNALS_SCHEMA), durability=self.durability
        )
        self.disk.settle()

    @property
    def me(self) -> bytes:
        return self.key.public_key

    @property
    def did(self) -> str:
        return str(self.key.did)

    def keys(self) -> Iterator[bytes]:
        """Every key that writes journals here."""
        yield self.me
        yield from (key.public_key for key in self.agent_keys.values())

    def employ(self, everybody: list["Site"]) -> None:
        """The agents' configurations: any agent may ask any worker."""
        peers = tuple(f"{site.did}/{WORKER}" for site in everybody)
        granted = frozenset({Capability.A2A, Capability.HTTP_FETCH, Capability.JOURNAL})
        self.specs = {
            name: AgentSpec(
                name, f"/{name}.wasm", granted, peers, workers=SLOTS, endpoints=(OUTSIDE,)
            )
            for name in AGENTS
        }
        self.trusted = {site.me: None for site in everybody if site.me != self.me}

    def moment(self, agenda_moment: Moment) -> Moment:
        return Moment(agenda_moment.mono_s, agenda_moment.wall_ms + self.skew_ms)

    def back_up(self) -> None:
        self.backups.append(self.disk.image())
        del self.backups[:-BACKUPS_KEPT]

    # --- policy: of tasks and of journals -------------------------------------------------------

    def may_task(self, peer: bytes, agent: str) -> str | None:
        if peer != self.me and peer not in self.trusted:
            return "no right to it"
        return None if agent in AGENTS else "no such agent"

    def slots(self, agent: str) -> int:
        return SLOTS if agent in AGENTS else 0

    def mesh_journals(self) -> Collection[str]:
        return JOURNALS

    def may_sync(self, peer: bytes, journal: str) -> bool:
        return journal in JOURNALS and peer in self.trusted

    def author_admitted(self, journal: str, node: bytes) -> bool:
        return node == self.me or (journal in JOURNALS and node in self.trusted)
