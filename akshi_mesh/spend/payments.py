"""Challenges of servers, and the proofs of what was paid for them.

A guest never sees a macaroon, an invoice's preimage or a signed payload: it gets the id of a
challenge, pays it, and names the id of the payment in its next request. Both are good for the
agent that got them and for the origin they came from, and for nobody else.
"""

import hashlib

from sandbox.challenge import Challenge, proof_header
from sandbox.charge import Charge
from sandbox.errors import MalformedChallenge, PortRefused
from sandbox.fault import FaultCode
from sandbox.spend import Money
from sync.store.database import Database

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS spend_challenges (
    agent TEXT NOT NULL,
    challenge TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    origin TEXT NOT NULL,
    scheme TEXT NOT NULL,
    rail TEXT NOT NULL,
    currency TEXT NOT NULL,
    micro INTEGER NOT NULL,
    payee TEXT NOT NULL,
    opaque TEXT NOT NULL,
    PRIMARY KEY (agent, challenge)
) STRICT, WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS spend_proofs (
    agent TEXT NOT NULL,
    payment TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    origin TEXT NOT NULL,
    header TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (agent, payment)
) STRICT, WITHOUT ROWID
""",
)
# Of one agent; beyond, the oldest go: a server that asks for money in each answer fills these
# and nothing else.
CHALLENGES_MAX = 64
PROOFS_MAX = 256
_DOMAIN = b"akshi-mesh/challenge/1\0"


class Payments:
    """What was asked for and what was proven, as `PaymentsPort` of sandbox.challenge."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def challenged(self, agent: str, origin: str, challenge: Challenge, *, at_ms: int) -> str:
        """Keep `challenge`; its id, which is the same for the same challenge."""
        text = "\0".join((origin, challenge.scheme, challenge.rail, str(challenge.amount)))
        data = _DOMAIN + f"{text}\0{challenge.payee}\0{challenge.opaque}".encode()
        id = hashlib.blake2b(data, digest_size=16).hexdigest()
        with self._database.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO spend_challenges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(agent, id, at_ms, origin, challenge.scheme, challenge.rail),
                    *(challenge.amount.currency, challenge.amount.micro),
                    *(challenge.payee, challenge.opaque),
                ),
            )
            self._keep("spend_challenges", "challenge", agent, CHALLENGES_MAX)
        return id

    def asked(self, agent: str, charge: Charge) -> tuple[str, Challenge] | None:
        """Origin and challenge that `charge` answers; None if it answers none.

        Raises:
            PortRefused: no such challenge of this agent, or it asks for something else.
        """
        if charge.challenge is None:
            return None
        row = self._database.row(
            "SELECT origin, scheme, rail, micro, currency, payee, opaque FROM spend_challenges"
            " WHERE agent = ? AND challenge = ?",
            (agent, charge.challenge),
        )
        if row is None:
            raise PortRefused(FaultCode.INVALID, "no such challenge: fetch the resource again")
        origin, scheme, rail, micro, currency, payee, opaque = row
        challenge = Challenge(scheme, rail, Money(micro, currency), payee, opaque)
        cost = charge.cost
        if (cost.money, cost.rail, cost.payee) != (challenge.amount, rail, payee):
            why = f"the challenge asks for {challenge.amount} by {rail}, and not for this"
            raise PortRefused(FaultCode.INVALID, why)
        return origin, challenge

    def proven(
        self,
        *,
        agent: str,
        payment: str,
        origin: str,
        challenge: Challenge,
        proof: str,
        at_ms: int,
    ) -> bool:
        """Keep the proof of a payment; False if it is none for this challenge."""
        try:
            header, value = proof_header(challenge, proof)
        except MalformedChallenge:
            return False
        with self._database.transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO spend_proofs VALUES (?, ?, ?, ?, ?, ?)",
                (agent, payment, at_ms, origin, header, value),
            )
            self._keep("spend_proofs", "payment", agent, PROOFS_MAX)
        return True

    def proof(self, agent: str, payment: str, origin: str) -> tuple[str, str]:
        """The header that proves `payment` to `origin`, name and value.

        Raises:
            PortRefused: no such payment of this agent to this origin, or it left no proof.
        """
        row = self._database.row(
            "SELECT header, value FROM spend_proofs WHERE agent = ? AND payment = ? AND origin = ?",
            (agent, payment, origin),
        )
        if row is None:
            why = f"no proof of payment {payment} for {origin}"
            raise PortRefused(FaultCode.NOT_ALLOWED, why)
        return str(row[0]), str(row[1])

    def _keep(self, table: str, key: str, agent: str, limit: int) -> None:
        self._database.execute(
            f"DELETE FROM {table} WHERE agent = ? AND {key} IN (SELECT {key} FROM {table}"  # noqa: S608 - names of ours
            f" WHERE agent = ? ORDER BY at_ms DESC, {key} LIMIT -1 OFFSET ?)",
            (agent, agent, limit),
        )
