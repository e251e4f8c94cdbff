"""`[risk]` and `[agents.rates]`: how calls are judged, and how often they may be made."""

from akshi_mesh.config.section import Section
from sandbox.capability import Capability
from sandbox.errors import MalformedRate, MalformedRiskTable
from sandbox.rate import Rate
from sandbox.risk import RiskTable
from sandbox.risk_defaults import DEFAULTS


def read_risk(root: Section) -> RiskTable:
    """The table in force: the owner's lines over the shipped ones."""
    values = root.plain("risk")
    if not values:
        return DEFAULTS
    for key in values:
        # A line that no field can have would judge nothing, in silence. The table itself
        # refuses "*", and says why.
        if key != "*" and key.partition(".")[0] not in set(Capability):
            root.wrong_below(("risk", key), f"risk of {key!r}: want a capability first")
    try:
        return RiskTable.read(values, over=DEFAULTS)
    except MalformedRiskTable as malformed:
        root.wrong_below(("risk", *malformed.key.split(".")), str(malformed))
        return DEFAULTS


def read_rates(section: Section) -> dict[Capability, Rate]:
    """A rate for each capability that has a line."""
    table = section.table("rates")
    if table is None:
        return {}
    rates: dict[Capability, Rate] = {}
    for capability in Capability:
        if capability.value in table:
            try:  # what is no text has been reported by then, and is not held to be a rate
                rates[capability] = Rate.parse(table.text(capability.value, "1/s"))
            except MalformedRate as malformed:
                table.wrong(capability.value, str(malformed))
    table.close()
    return rates
