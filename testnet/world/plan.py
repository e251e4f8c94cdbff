"""Which kinds of trouble a world has. A seed decides it, so every kind has its seeds."""

from dataclasses import dataclass
from typing import Self

from sync.store.database import Durability


@dataclass(frozen=True, slots=True)
class Plan:
    """The storm of one world.

    Attributes:
        name: what it is about.
        durability: of all nodes.
        dies_by: how processes end: crash, power, backup.
        crashes, partitions, drops: how many in the storm.
        jumps: clocks go an hour ahead or back, and return.
        distrusts: nodes remove each other from trust, and add each other again.
        impatient: tasks that live for seconds, and tasks that are cancelled.
        forked: one author signs two histories.
        written_back: chance that a commit reaches the platter although nobody asked.
    """

    name: str
    durability: Durability = "normal"
    dies_by: tuple[str, ...] = ("crash",)
    crashes: int = 20
    partitions: int = 2
    drops: int = 8
    jumps: bool = False
    distrusts: bool = False
    impatient: bool = False
    forked: bool = False
    written_back: float = 0.1
    works: int = 32
    notes: int = 16
    storm_s: float = 90.0
    down_s_max: float = 5.0

    @classmethod
    def of(cls, seed: int) -> Self:
        """The plan of a seed: all kinds in turn."""
        plans = (
            cls("crashes"),
            cls("everything", dies_by=ALL_DEATHS, jumps=True, distrusts=True, impatient=True),
            cls("power cuts", dies_by=("power",), written_back=0.02),
            cls("power cuts, synced", durability="power", dies_by=("crash", "power")),
            cls("backups and clocks", dies_by=("crash", "backup"), jumps=True),
            cls("trust and impatience", distrusts=True, impatient=True),
        )
        return plans[seed % len(plans)]

    @property
    def is_gentle(self) -> bool:
        """Whether nothing may cost a task its completion."""
        return not (self.jumps or self.distrusts or self.impatient or self.loses)

    @property
    def loses(self) -> bool:
        """Whether disks may go back to an earlier state."""
        return "backup" in self.dies_by or ("power" in self.dies_by and self.durability == "normal")

    def __str__(self) -> str:
        return self.name


ALL_DEATHS = ("crash", "crash", "power", "backup")
