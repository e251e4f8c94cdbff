"""What agents reach beyond the node's own store: people who say yes, money, the web.

Made in one place, so that the inventory of what an agent can touch from this node is one list.
"""

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from akshi_mesh.approvals.desk import ApprovalDesk
from akshi_mesh.approvals.steady_clock import SteadyClock
from akshi_mesh.approvals.table import ApprovalTable
from akshi_mesh.config.model import Config
from akshi_mesh.reserve import Reserve
from akshi_mesh.spend.purse import Purse
from akshi_mesh.spend.switch import SWITCH_VARIABLE, is_switched_on
from akshi_mesh.trust_book import TrustBook
from identity.did import Did
from sandbox.net.fetcher import Fetcher
from sandbox.outside import SecretsPort
from sandbox.ports import AuditPort
from sandbox.spend import SpendPolicy
from sync.clock import Moment
from sync.store.database import Database


@dataclass(frozen=True, slots=True)
class Powers:
    """What every agent of the node has in common outside of it."""

    approvals: ApprovalDesk
    purse: Purse
    fetcher: Fetcher


def powers(
    config: Config,
    broker: SecretsPort,
    *,
    me: bytes,
    database: Database,
    audit: AuditPort,
    trust: TrustBook,
    clock: Callable[[], Moment],
    reserve: Reserve,
) -> Powers:
    """All of them, over the store of this node."""
    budgets = {spec.name: spec.spend for spec in config.agents}

    def policy_of(agent: str) -> SpendPolicy | None:
        return budgets.get(agent)

    stored_ms = ApprovalTable(database).high_ms()
    approvals = ApprovalDesk(
        database,
        audit,
        clock=SteadyClock(clock, stored_ms=stored_ms),
        entitled=lambda did: did == str(Did(me)) or did in map(str, operators(config, trust)),
        draw=secrets.token_bytes,
    )
    purse = Purse(
        database,
        audit,
        policy_of=policy_of,
        wall_ms=lambda: clock().wall_ms,
        node_cap=config.spend.daily,
        forced=is_switched_on(os.environ.get(SWITCH_VARIABLE)),
        reserve=reserve,
    )
    return Powers(approvals, purse, Fetcher(broker, payments=purse))


def operators(config: Config, trust: TrustBook) -> Iterable[Did]:
    """Who may answer from elsewhere now: named by the configuration, and trusted."""
    return [did for did in config.approval.operators if trust.lookup(did.public_key) is not None]
