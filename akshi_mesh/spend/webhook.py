"""A rail that asks an endpoint of the operator's to pay: a wallet, a card service, a script.

    POST url        {"amount_micros": 500000, "currency": "EUR", "payee": "shop",
                     "memo": "a map", "idempotency_key": "9f…", "challenge": …}
    200             {"paid": true, "proof": "…"}
    any             {"paid": false, "why": "…"}      not paid, and what was reserved is free again

Asked once. Whatever else happens after the first byte has left (a time-out, another answer, a
connection that breaks, the kill switch) has an unknown end: nobody asks again, and it stays
counted. The endpoint keeps one payment for one `idempotency_key`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import trio

from akshi_mesh.config.model import WebhookSpec
from akshi_mesh.spend.rails import Payable
from sandbox import guest_json
from sandbox.challenge import PROOF_CHARS_MAX
from sandbox.errors import MalformedJson, PortRefused
from sandbox.fault import FaultCode
from sandbox.net.errand import errand
from sandbox.net.operator import operator_client
from sandbox.outside import SecretsPort

ANSWER_BYTES_MAX = 32_768
WHY_CHARS_MAX = 200


@dataclass(frozen=True, slots=True)
class _Said:
    """What the endpoint answered, read strictly."""

    paid: bool
    proof: str
    why: str


class WebhookRail:
    """One endpoint that pays."""

    def __init__(self, spec: WebhookSpec, secrets: SecretsPort) -> None:
        self._spec = spec
        self._secrets = secrets

    @property
    def user(self) -> str:
        """Under which name secrets are bound to it: `--agent rail.NAME`."""
        return f"rail.{self._spec.name}"

    async def pay(self, payable: Payable, *, still_allowed: Callable[[], str | None]) -> str:
        """Ask for the payment, once; the proof.

        Raises:
            PortRefused: `unknown` once a byte has left; else nothing was paid.
        """
        url = self._spec.url
        injected = self._secrets.injections(self.user, url, "POST")
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": payable.key,
            **{one.header: one.value for one in injected},
        }
        status, data = await self._post(_body(payable), headers, still_allowed)
        said = _read(data)
        if said is None or (said.paid and status != httpx.codes.OK):
            raise PortRefused(FaultCode.UNKNOWN, f"rail {self._spec.name} gave no clear answer")
        if not said.paid:
            why = f"rail {self._spec.name} did not pay: {said.why}".rstrip(": ")
            raise PortRefused(FaultCode.UNAVAILABLE, why)
        # A proof goes to whoever is paid: the wallet's own credential is none.
        leaked = self._secrets.leaks(self.user, said.proof.encode())
        return "" if leaked else said.proof

    async def _post(
        self, body: str, headers: dict[str, str], still_allowed: Callable[[], str | None]
    ) -> tuple[int, bytes]:
        spec = self._spec
        client = operator_client(
            str(spec.url), timeout_s=spec.timeout_s, answer_bytes_max=ANSWER_BYTES_MAX
        )
        with errand(still_allowed) as sent, trio.move_on_after(spec.timeout_s):
            try:
                async with client:
                    answer = await client.post(str(spec.url), content=body, headers=headers)
                    return answer.status_code, answer.content
            except httpx.HTTPError as failure:
                if not sent.has_left:
                    why = still_allowed() or f"rail {spec.name} cannot be reached"
                    raise PortRefused(FaultCode.UNAVAILABLE, why) from failure
                why = f"rail {spec.name} was asked, and its answer was lost"
                raise PortRefused(FaultCode.UNKNOWN, why) from failure
        code = FaultCode.UNKNOWN if sent.has_left else FaultCode.UNAVAILABLE
        raise PortRefused(code, f"rail {spec.name} did not answer in {spec.timeout_s:g} s")


def _body(payable: Payable) -> str:
    challenge: dict[str, str] | None = None
    if payable.challenge is not None:
        asked = payable.challenge
        challenge = {"scheme": asked.scheme, "opaque": asked.opaque}
    money = payable.cost.money
    return guest_json.write(
        {
            "amount_micros": money.micro,
            "currency": money.currency,
            "payee": payable.cost.payee,
            "memo": payable.memo,
            "idempotency_key": payable.key,
            "agent": payable.agent,
            **({"challenge": challenge} if challenge else {}),
        }
    )


def _read(data: bytes) -> _Said | None:
    """The answer, or None where it can be read in more than one way."""
    try:
        answer: Any = guest_json.read(data.decode())
    except (MalformedJson, UnicodeDecodeError):
        return None
    if not isinstance(answer, dict) or type(answer.get("paid")) is not bool:
        return None
    proof, why = answer.get("proof", ""), answer.get("why", "")
    if not isinstance(proof, str) or not isinstance(why, str) or len(proof) > PROOF_CHARS_MAX:
        return None
    shown = "".join(c if c.isprintable() else " " for c in why[:WHY_CHARS_MAX])
    return _Said(answer["paid"], proof, shown)
