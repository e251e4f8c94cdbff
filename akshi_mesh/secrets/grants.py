"""Which grants of secrets are revoked: a row says so, and no row means that the binding holds.

A grant is a name, an agent and a place. A revocation names a secret, and may leave out the agent
(every agent) or the place (every endpoint). It survives a restart and holds from the next call.
"""

from dataclasses import dataclass
from typing import Final

from sync.store.database import Database

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS secret_revocations (
    name TEXT NOT NULL,
    agent TEXT NOT NULL,
    place TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (name, agent, place)
) STRICT, WITHOUT ROWID
"""
ROWS_MAX: Final = 4_096  # 64 secrets times 64 agents; guess


@dataclass(frozen=True, slots=True, order=True)
class Revocation:
    """A secret that must not be used; `agent` and `place` are empty where they mean any."""

    name: str
    agent: str = ""
    place: str = ""

    def covers(self, name: str, agent: str, place: str) -> bool:
        return self.name == name and self.agent in {"", agent} and self.place in {"", place}


class Grants:
    """The revocations, in memory for every call and in the database for the next start."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.execute("SELECT name, agent, place, at_ms FROM secret_revocations")
        self._rows = {Revocation(*row[:3]): int(row[3]) for row in rows}

    def __len__(self) -> int:
        return len(self._rows)

    def revoked(self, name: str, agent: str, place: str) -> bool:
        """Whether `agent` must not use `name` at `place`."""
        return any(row.covers(name, agent, place) for row in self._rows)

    def of(self, name: str) -> list[Revocation]:
        return sorted(row for row in self._rows if row.name == name)

    def revoke(self, wanted: Revocation, *, now_ms: int) -> None:
        """Inside the open transaction."""
        self._database.execute(
            "INSERT OR IGNORE INTO secret_revocations VALUES (?, ?, ?, ?)",
            (wanted.name, wanted.agent, wanted.place, now_ms),
        )
        # At once, before the commit: what must not be used is refused rather early than late.
        self._rows.setdefault(wanted, now_ms)

    def restore(self, row: Revocation) -> None:
        """Inside the open transaction; in force when `reload` is called after its commit."""
        self._database.execute(
            "DELETE FROM secret_revocations WHERE name = ? AND agent = ? AND place = ?",
            (row.name, row.agent, row.place),
        )

    def reload(self) -> None:
        """Take what is in the database, after a commit or a rollback."""
        rows = self._database.execute("SELECT name, agent, place, at_ms FROM secret_revocations")
        self._rows = {Revocation(*row[:3]): int(row[3]) for row in rows}
