"""Whose work a task is, and what its owner was given here: asked anew at every host call.

    task from DID X:   X's trust or grant  ∩  each hop that is on file  ∩  the task's own scope

Work that began on this node has no bounds but a scope that it was sent with. What a chain says
before its proven end is a claim, so it is only ever used to narrow.
"""

from functools import lru_cache

from akshi_mesh.trust_book import TrustBook
from identity.caps import NOTHING, Scope
from identity.did import Did
from identity.keys import twin
from sandbox.bounds import Bounds, bounds_of
from sandbox.ports import TaskRun

ADD = "akshi-node trust add"
MADE_MAX = 1_024


class WhoseWork:
    """The sandbox's `BoundsPort`."""

    def __init__(self, me: Did, trust: TrustBook) -> None:
        self._me = str(me)
        self._trust = trust
        self._made: dict[str, tuple[Scope, Bounds]] = {}  # of each party the last, while it holds

    def bounds(self, run: TaskRun) -> tuple[Bounds, ...]:
        """One for everybody who narrows `run`; none for the owner's own work.

        Cost: 2 µs for a task that came from one node, 1 µs more for each hop that is on file.
        """
        proven = _node(run.originator)
        parties = {} if proven == self._me else {proven: self._of(proven)}
        for hop in run.chain:
            claimed = _node(hop)
            if claimed != self._me and claimed not in parties and self._is_on_file(claimed):
                parties[claimed] = self._of(claimed)
        if run.scope is None:
            return tuple(parties.values())
        return (*parties.values(), self._of_task(run, run.scope))

    def scope_of(
        self, originator: str, chain: tuple[str, ...], scope: Scope | None
    ) -> Scope | None:
        """What a task may use elsewhere that such a task sends; None for the owner's own work."""
        narrowest, proven = scope, _node(originator)
        for node in dict.fromkeys((proven, *map(_node, chain))):
            if node != self._me and (node == proven or self._is_on_file(node)):
                party = (self._trust.scope(_key(node)) or NOTHING).as_said_by(self._me)
                narrowest = party if narrowest is None else narrowest.meet(party)
        return narrowest

    def _of(self, did: str) -> Bounds:
        scope = self._trust.scope(_key(did))
        if scope is None:
            return Bounds(did, hint=f"{ADD} {did}", gone="is not trusted here any more")
        made = self._made.get(did)
        if made is not None and made[0] is scope:
            return made[1]
        bounds = bounds_of(did, scope.as_said_by(self._me), hint=f"{ADD} {did}")
        if len(self._made) >= MADE_MAX:
            self._made.clear()
        self._made[did] = scope, bounds
        return bounds

    def _of_task(self, run: TaskRun, scope: Scope) -> Bounds:
        """The scope that stands in the task. Only who sent it can widen that."""
        whose = _node(run.chain[0]) if run.chain else _node(run.originator)
        said_by = _node(run.originator)
        if said_by == self._me:
            return bounds_of(f"the task of {whose}", scope)
        return bounds_of(f"the task of {whose}", scope, hint=f"on {said_by}: {ADD} {whose}")

    def _is_on_file(self, did: str) -> bool:
        """Whether this node ever said something about it that still stands, be it only no."""
        key, store = _key(did), self._trust.store
        is_out = key in store.revoked or twin(key) in store.revoked
        return is_out or store.get(key) is not None


def _node(hop: str) -> str:
    return hop.partition("/")[0]


@lru_cache(maxsize=1_024)  # a DID costs 7 µs to read, and each call asks for the same few
def _key(did: str) -> bytes:
    return Did.parse(did).public_key


def originator_of(sender: str, me: str, chain: tuple[str, ...]) -> str:
    """Who is proven to have brought this work to us; what a chain says before that is a claim.

    The last hop of a chain is its author's. In a chain of our own that is the hop before those at
    its end that are ours: hops of ours further up are what somebody else has written there.
    """
    if sender != me:
        return chain[-1] if chain else sender
    theirs = len(chain)
    while theirs and _node(chain[theirs - 1]) == me:
        theirs -= 1
    return chain[theirs - 1] if theirs else me
