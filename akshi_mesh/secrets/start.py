"""How the secrets of a home are opened, by a node that starts and by a command without a node."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from akshi_mesh.config.model import Config
from akshi_mesh.home import Home
from akshi_mesh.secrets.broker import Broker
from akshi_mesh.secrets.data_key import KeySource, system_keyring
from akshi_mesh.secrets.desk import Desk
from akshi_mesh.secrets.grants import SCHEMA, Grants
from akshi_mesh.secrets.vault import Vault
from identity.errors import PassphraseNeeded
from identity.files import load_node_key
from sandbox.ports import AuditPort
from sync.store.database import Database

__all__ = ["SCHEMA", "Secrets", "open_vault"]


@dataclass(frozen=True, slots=True)
class Secrets:
    """The broker for agents, and the desk for the owner."""

    broker: Broker
    desk: Desk

    @classmethod
    def over(
        cls,
        vault: Vault,
        config: Config,
        *,
        database: Database,
        audit: AuditPort,
        now_ms: Callable[[], int],
    ) -> "Secrets":
        sources = config.secrets
        broker = Broker(
            vault,
            Grants(database),
            sources=sources,
            environ=os.environ,
            audit=audit,
            now_ms=now_ms,
        )
        desk = Desk(broker, sources=sources, audit=audit, database=database, now_ms=now_ms)
        return cls(broker, desk)

    def warnings(self) -> list[str]:
        """What keeps secrets from being used, for the owner."""
        told = {held.why for held in self.broker.held if held.value is None}
        return sorted(told)


def open_vault(home: Home) -> Vault:
    """The box of `home`; asks for a passphrase if it has one. The home's lock is held.

    Raises: as `Vault.open`; UsageError: a passphrase is wanted and nobody can be asked.
    """
    from akshi_mesh.cli.passphrase import ask_new, ask_secrets

    return Vault.open(
        KeySource(
            home=home,
            environ=os.environ,
            passphrase=ask_secrets,
            new_passphrase=ask_new,
            wants_passphrase=lambda: _is_key_sealed(home),
            keyring=system_keyring,
        )
    )


def _is_key_sealed(home: Home) -> bool:
    try:
        load_node_key(home.path)
    except PassphraseNeeded:
        return True
    return False
