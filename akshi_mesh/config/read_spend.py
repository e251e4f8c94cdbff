"""[agents.spend] and [spend]: what agents may spend, and the rails that pay."""

import math
from collections.abc import Sequence

from akshi_mesh.config.model import WEBHOOK_TIMEOUT_S, SpendConfig, WebhookSpec
from akshi_mesh.config.section import Section
from sandbox.agent_spec import AgentSpec
from sandbox.capability import Capability
from sandbox.endpoint import Url
from sandbox.errors import MalformedMoney, MalformedSpendPolicy, MalformedUrl
from sandbox.spend import INFERENCE, LEDGER, RAILS_MAX, Money, SpendPolicy, check_rail

TIMEOUT_S_MAX = 120.0
# The names of the books, each with ours. Those in dollars are numbers, the others texts.
_DAILY = ("daily", "daily_budget_usd", "budget_cap")
_PER_ACTION = ("per_action", "per_inference_max_usd", "per_action_limit")
_DOLLARS = "USD"
_PAYING = {Capability.SPEND, Capability.INFERENCE}


def read_agent_spend(section: Section, granted: frozenset[Capability]) -> SpendPolicy | None:
    """The budget of one agent; None if it has none, or one that is wrong and reported."""
    spend = section.table("spend")
    if spend is None:
        if Capability.SPEND in granted:
            section.note_below(
                ("capabilities", "spend"),
                "'spend' is granted without [agents.spend], and no budget allows nothing",
            )
        return None
    if not granted & _PAYING:
        section.note("spend", "[agents.spend] has no effect: 'spend' and 'inference' are off")
    daily = _read_money(spend, _DAILY)
    per_action = _read_money(spend, _PER_ACTION)
    names = _one_of(spend, ("rails", "allowed_rails"))
    rails = spend.texts(names)
    simulation = spend.flag("simulation_mode")
    if daily is None and not any(key in spend for key in _DAILY):
        spend.wrong(None, "[agents.spend] needs 'daily', such as daily = \"2.00EUR\"")
    spend.close()
    if daily is None:
        return None
    try:
        return SpendPolicy(daily, per_action, tuple(dict.fromkeys(rails)), simulation)
    except MalformedSpendPolicy as malformed:
        spend.wrong(names if malformed.key == "rails" else malformed.key, str(malformed))
        return None


def _one_of(section: Section, names: Sequence[str]) -> str:
    """Which of several names of one thing was written; twice is wrong."""
    written = [name for name in names if name in section]
    for second in written[1:]:
        section.wrong(second, f"{second!r} and {written[0]!r} are the same; write one of them")
        section.later(second, "not read")  # known, and so not reported once more
    return written[0] if written else names[0]


def _read_money(section: Section, names: tuple[str, ...]) -> Money | None:
    name = _one_of(section, names)
    if name not in section:
        return None
    try:
        if name.endswith("_usd"):
            return _dollars(section.number(name, math.nan))
        return Money.parse(section.text(name, ""))
    except MalformedMoney as malformed:
        section.wrong(name, f"{name!r}: {malformed}")
        return None


def _dollars(amount: float) -> Money:
    """The amount that was written, exactly: a number of more than six decimals is none."""
    text = format(amount, ".6f") if math.isfinite(amount) else str(amount)
    if not math.isfinite(amount) or float(text) != amount:
        raise MalformedMoney(text, why="want a number with at most six decimals")
    return Money.parse(text + _DOLLARS)


def read_spend(root: Section) -> SpendConfig:
    """The section of the node."""
    spend = root.table("spend")
    if spend is None:
        return SpendConfig()
    daily = _read_money(spend, ("daily",))
    rails: dict[str, WebhookSpec] = {}
    for number, table in enumerate(spend.tables("rails")):
        if number == RAILS_MAX:
            table.wrong(None, f"more than {RAILS_MAX} rails")
            break
        rail = _read_rail(table)
        if rail is None:
            continue
        if rail.name in (*rails, LEDGER, INFERENCE):
            table.wrong("name", f"rail {rail.name!r} is there already")
        rails[rail.name] = rail
    spend.close()
    return SpendConfig(daily, tuple(rails.values()))


def _read_rail(table: Section) -> WebhookSpec | None:
    name, url = table.text("name", ""), table.text("url", "")
    table.word("kind", ("webhook",), "webhook")
    timeout_s = table.number("timeout_secs", WEBHOOK_TIMEOUT_S)
    if not 1 <= timeout_s <= TIMEOUT_S_MAX:
        table.wrong("timeout_secs", f"'timeout_secs' wants 1 to {TIMEOUT_S_MAX:g}")
    table.close()
    try:
        return WebhookSpec(check_rail(name), Url.parse(url), timeout_s)
    except MalformedSpendPolicy:
        table.wrong("name" if "name" in table else None, "a rail needs a 'name' such as \"card\"")
    except MalformedUrl as malformed:
        table.wrong("url" if "url" in table else None, f"a rail needs a 'url': {malformed}")
    return None


def check_rails(root: Section, agents: Sequence[AgentSpec], spend: SpendConfig) -> None:
    """Report agents that may pay by a rail which this node does not have.

    Args:
        root: the whole file.
        agents: all of the file, in its order.
        spend: of the same file.
    """
    known = {LEDGER, *(rail.name for rail in spend.rails)}
    for section, spec in zip(root.tables("agents"), agents, strict=True):
        for rail in spec.spend.rails if spec.spend else ():
            if rail not in known:
                text = f'no rail {rail!r}; write [[spend.rails]] name = "{rail}", or take it out'
                section.wrong("spend", text)
