"""`[agents.approval]` and `[approval]`: when a person is asked, and who else may answer."""

from collections.abc import Mapping
from typing import get_args

from akshi_mesh.config.model import ApprovalConfig
from akshi_mesh.config.section import Section
from identity.did import Did
from identity.errors import IdentityError
from identity.keys import check_public_key
from sandbox.approvals import (
    QUORUM_MAX,
    RULE_DEFAULT,
    TIMEOUT_S_DEFAULT,
    TIMEOUT_S_MAX,
    ApprovalRule,
    When,
)
from sandbox.capability import Capability

OPERATORS_MAX = QUORUM_MAX - 1  # with this node, as many as the largest quorum


def read_approval(
    section: Section, granted: frozenset[Capability], *, voters: int
) -> Mapping[Capability, ApprovalRule]:
    """The rules of one agent: for every granted capability one.

    Args:
        section: the agent's table.
        granted: what the agent may do at all.
        voters: how many there are to answer, this node included.
    """
    table = section.table("approval")
    if table is None:
        return {}
    timeout_s = _timeout_s(table, "timeout_secs", TIMEOUT_S_DEFAULT)
    rules: dict[Capability, ApprovalRule] = {}
    for capability in Capability:
        key = capability.value
        rule = _read_rule(table, key, timeout_s, voters=voters)
        if capability in granted:
            rules[capability] = rule
        elif key in table and rule.when != "never":
            table.note(key, f"no approval is needed: {key!r} is off")
    table.close()
    return rules


def _read_rule(table: Section, key: str, timeout_s: int, *, voters: int) -> ApprovalRule:
    if not table.is_table(key):
        # What cannot be read asks always; the problem keeps the node from starting anyhow.
        when: When = "always" if table.flag(key, default=True) else "never"
        return ApprovalRule(when if key in table else RULE_DEFAULT.when, timeout_s)
    rule = table.table(key)
    assert rule is not None, "it is a table"
    rule.gone("timeout_secs", "write timeout_s here; timeout_secs is for all capabilities")
    chosen = rule.word("when", get_args(When), "always")
    quorum = rule.whole("quorum", 1)
    if not 1 <= quorum <= voters:
        rule.wrong(
            "quorum",
            f"'quorum' wants 1 to {voters}: this node"
            + (f" and {voters - 1} in [approval] operators" if voters > 1 else " alone answers"),
        )
        quorum = 1
    timeout_s = _timeout_s(rule, "timeout_s", timeout_s)
    rule.close()
    return ApprovalRule(chosen, timeout_s, quorum)


def _timeout_s(table: Section, key: str, default: int) -> int:
    timeout_s = table.whole(key, default)
    if not 1 <= timeout_s <= TIMEOUT_S_MAX:
        table.wrong(key, f"{key!r} wants 1 to {TIMEOUT_S_MAX}, not {timeout_s}")
        return default
    return timeout_s


def read_operators(root: Section) -> ApprovalConfig:
    """Who else may answer the questions of this node's agents."""
    table = root.table("approval")
    if table is None:
        return ApprovalConfig()
    operators: list[Did] = []
    for text in table.texts("operators"):
        try:
            did = Did.parse(text)
            check_public_key(did.public_key)
        except IdentityError as malformed:
            table.wrong("operators", f"'operators' wants did:key:…: {malformed}")
            continue
        if did in operators:
            table.wrong("operators", f"{did} is there twice")
            continue
        operators.append(did)
    if len(operators) > OPERATORS_MAX:
        table.wrong("operators", f"more than {OPERATORS_MAX} operators")
    for capability in Capability:
        table.gone(capability.value, "write it under [agents.approval], after its [[agents]]")
    table.close()
    return ApprovalConfig(tuple(operators))
