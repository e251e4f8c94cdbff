"""What agents reach beyond the node's own store: money, the web.

Made in one place, so that the inventory of what an agent can touch from this node is one list.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from akshi_mesh.config.model import Config
from akshi_mesh.reserve import Reserve
from akshi_mesh.spend.purse import Purse
from akshi_mesh.spend.switch import SWITCH_VARIABLE, is_switched_on
from akshi_mesh.spend.webhook import WebhookRail
from sandbox.net.fetcher import Fetcher
from sandbox.outside import SecretsPort
from sandbox.ports import AuditPort
from sandbox.spend import SpendPolicy
from sync.clock import Moment
from sync.store.database import Database


@dataclass(frozen=True, slots=True)
class Powers:
    """What every agent of the node has in common outside of it."""

    purse: Purse
    fetcher: Fetcher


def powers(
    config: Config,
    broker: SecretsPort,
    *,
    database: Database,
    audit: AuditPort,
    clock: Callable[[], Moment],
    reserve: Reserve,
) -> Powers:
    """All of them, over the store of this node."""
    budgets = {spec.name: spec.spend for spec in config.agents}

    def policy_of(agent: str) -> SpendPolicy | None:
        return budgets.get(agent)

    purse = Purse(
        database,
        audit,
        policy_of=policy_of,
        wall_ms=lambda: clock().wall_ms,
        rails={rail.name: WebhookRail(rail, broker) for rail in config.spend.rails},
        node_cap=config.spend.daily,
        forced=is_switched_on(os.environ.get(SWITCH_VARIABLE)),
        reserve=reserve,
    )
    return Powers(purse, Fetcher(broker, payments=purse))
