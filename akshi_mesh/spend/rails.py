"""The ways money may take, behind one narrow protocol.

A rail that has paid answers with a proof, which may be empty. One that has provably sent
nothing raises `PortRefused` with any code but `unknown`; one that does not know how it ended
raises it with `unknown`, and the payment stays counted for good.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sandbox.challenge import Challenge
from sandbox.spend import Cost


@dataclass(frozen=True, slots=True)
class Payable:
    """One payment, as a rail sees it.

    Attributes:
        key: the idempotency key: the id of the payment, 32 hexadecimal digits.
        challenge: of the server that wants it, if there was one.
    """

    key: str
    agent: str
    cost: Cost
    memo: str
    challenge: Challenge | None


class Rail(Protocol):
    """Something outside that pays."""

    async def pay(self, payable: Payable, *, still_allowed: Callable[[], str | None]) -> str:
        """Pay, once; the proof.

        Args:
            payable: what, to whom, and under which key.
            still_allowed: asked right before bytes leave; a text is the reason not to.
        """


Rails = Mapping[str, Rail]
