"""`spend show|kill|resume`: what agents spend, and the switch that ends it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command

if TYPE_CHECKING:
    from akshi_mesh.api.shapes_spend import SpendInfo
    from akshi_mesh.spend.purse import Purse


def register(app: typer.Typer) -> None:
    command(app, "show")(show)
    command(app, "kill")(kill)
    command(app, "resume")(resume)


def show(session: Session) -> None:
    """Show today's spending, what is open, and whether it is halted."""
    with session.node_or_lock() as node:
        info = node.spend.show() if node else _at_rest(session, lambda _: None)
    _tell(session, info)


def kill(session: Session) -> None:
    """Halt all paid actions at once. It survives a restart, until `spend resume`."""
    with session.node_or_lock() as node:
        info = node.spend.kill() if node else _at_rest(session, lambda purse: purse.switch.kill())
    cut_off = output.plural(info["cut_off"], "call")
    session.answer(info, text=f"all paid actions are halted; {cut_off} cut off")


def resume(session: Session) -> None:
    """Let agents spend again, within their budgets. The environment's switch stays on."""
    with session.node_or_lock() as node:
        info = (
            node.spend.resume() if node else _at_rest(session, lambda purse: purse.switch.resume())
        )
    session.answer(info, text="agents may spend again, within their budgets")


def _at_rest(session: Session, change: "Callable[[Purse], object]") -> "SpendInfo":
    """The same on the store of a node that does not run; we hold its lock."""
    import secrets
    import time

    from akshi_mesh.audit.log import SCHEMA as AUDIT_SCHEMA
    from akshi_mesh.audit.log import AuditLog
    from akshi_mesh.reserve import Reserve
    from akshi_mesh.spend.purse import SCHEMA as SPEND_SCHEMA
    from akshi_mesh.spend.purse import Purse
    from akshi_mesh.spend.report import spend_info
    from sync.store.database import Database

    def wall_ms() -> int:
        return time.time_ns() // 1_000_000

    schemas = (*AUDIT_SCHEMA, *SPEND_SCHEMA)
    database = Database.open(str(session.home.database_path), schemas=schemas)
    try:
        reserve = Reserve(session.home.path / "reserve")
        audit = AuditLog(database, draw=secrets.token_bytes, wall_ms=wall_ms, reserve=reserve)
        purse = Purse(database, audit, policy_of=lambda _: None, wall_ms=wall_ms, reserve=reserve)
        change(purse)
        return spend_info(purse, (), wall_ms=wall_ms())
    finally:
        database.close()


def _tell(session: Session, info: "SpendInfo") -> None:
    if session.as_json:
        output.say_json(info)
        return
    output.say(_switch(info))
    spent, daily = ", ".join(info["node_spent"]) or "nothing", info["node_daily"]
    output.say(f"{info['day']}: spent {spent}" + (f" of {daily} a day" if daily else ""))
    output.say_table(
        (
            agent["name"],
            f"{', '.join(agent['spent']) or 'nothing'} of {agent['daily']} a day",
            f"{agent['per_action']} an action" if agent["per_action"] else "-",
            " ".join(agent["rails"]) or "no rails",
            "simulated" if agent["simulation"] else "",
        )
        for agent in info["agents"]
    )
    for payment in info["open"]:
        state = "in flight" if payment["standing"] == "reserved" else "unknown end, counted"
        when = output.when(payment["at_ms"])
        by = f"{payment['agent']} by {payment['rail']} to {payment['payee']}"
        output.say(f"{payment['payment']}: {state}: {payment['amount']}, {by}, {when}")
    output.say_table(
        (line["account"], f"{_signed(line['micros'])}{line['currency']}") for line in info["ledger"]
    )


def _switch(info: "SpendInfo") -> str:
    if info["forced"]:
        return "halted: AKSHI_SPEND_KILL_SWITCH was set when the node started"
    if info["since_ms"] is not None:
        return f"halted since {output.when(info['since_ms'])}; akshi-node spend resume"
    return "not halted"


def _signed(micros: int) -> str:
    whole, fraction = divmod(abs(micros), 1_000_000)
    text = f"{whole}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')}"
    return f"-{text}" if micros < 0 else text
