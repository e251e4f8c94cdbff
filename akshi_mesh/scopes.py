"""What people type after `--cap`, `--spend` and `--scope`, as a value."""

from collections.abc import Sequence

from identity.caps import CapRight, DailySpend, Scope
from identity.errors import MalformedCap
from identity.trust import TrustStore
from sandbox.bounds import why_no_cap


def read_scope(caps: Sequence[str], spend: str | None, store: TrustStore) -> Scope:
    """The scope meant; an agent may be named by its node's petname, which is kept as the DID.

    Raises:
        MalformedCap: not a capability, or not an amount.
    """
    amount = None if spend is None else DailySpend.parse(spend)
    return Scope.of([_cap(text, store) for text in caps], amount)


def _cap(text: str, store: TrustStore) -> CapRight:
    name, _, scope = text.partition(":")
    node, slash, agents = scope.partition("/")
    trusted = store.by_petname(node) if name == "a2a" and slash else None
    cap = CapRight.parse(f"{name}:{trusted.did}/{agents}" if trusted else text)
    why = why_no_cap(cap)
    if why is not None:
        raise MalformedCap(text, why=why)
    return cap
