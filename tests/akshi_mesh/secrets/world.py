"""A home with a secrets box, its broker and its desk, over a database in memory."""

from collections.abc import Callable, Mapping
from pathlib import Path

from akshi_mesh.home import Home
from akshi_mesh.secrets.broker import Broker
from akshi_mesh.secrets.data_key import Keyring, KeySource
from akshi_mesh.secrets.desk import Desk
from akshi_mesh.secrets.grants import SCHEMA, Grants
from akshi_mesh.secrets.vault import Vault
from sandbox.audit import AuditRecord
from sandbox.errors import AuditUnavailable
from sandbox.secrets import SecretSource
from sync.store.database import Database

VALUE = "planted-s3cret/value+42"
OTHER = "another-planted-secret-43"
HOUR_MS = 3_600_000


class Diary:
    """An audit log that remembers, or that takes nothing."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []
        self.is_full = False

    def record(self, record: AuditRecord) -> None:
        if self.is_full:
            raise AuditUnavailable(why="disk full")
        self.records.append(record)

    def told(self) -> list[tuple[str, str, str, int]]:
        """Code, name, agent and count of each record."""
        return [(r.code, r.fact("subject"), r.agent, r.count) for r in self.records]


class Ring:
    """A keyring in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[(service, username)] = password


def new_home(path: Path) -> Home:
    home = Home(path / "home")
    home.create()
    return home


def keys_of(
    home: Home,
    *,
    environ: Mapping[str, str] | None = None,
    passphrase: Callable[[], str] | None = None,
    wants_passphrase: bool = False,
    ring: Keyring | None = None,
) -> KeySource:
    return KeySource(
        home, environ or {}, passphrase, passphrase, lambda: wants_passphrase, lambda: ring
    )


class World:
    """One node's secrets."""

    def __init__(
        self,
        home: Home,
        *,
        sources: tuple[SecretSource, ...] = (),
        environ: Mapping[str, str] | None = None,
        database: Database | None = None,
    ) -> None:
        self.home = home
        self.now_ms = 1_700_000_000_000
        self.diary = Diary()
        self.database = database or Database.open(":memory:", schemas=[SCHEMA])
        self.vault = Vault.open(keys_of(home))
        self.broker = Broker(
            self.vault,
            Grants(self.database),
            sources=sources,
            environ=environ or {},
            audit=self.diary,
            now_ms=lambda: self.now_ms,
        )
        self.desk = Desk(
            self.broker,
            sources=sources,
            audit=self.diary,
            database=self.database,
            now_ms=lambda: self.now_ms,
        )

    def set(
        self,
        name: str = "token",
        value: str = VALUE,
        *,
        endpoint: str = "https://api.example.com/v1",
        methods: tuple[str, ...] = (),
        agent: str | None = None,
        header: str | None = None,
        format: str | None = None,
    ) -> None:
        self.desk.set(
            name,
            value,
            endpoints=[endpoint],
            methods=methods,
            header=header,
            format=format,
            agent=agent,
            key=None,
        )
