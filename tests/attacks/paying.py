"""An agent that may spend, the whole way of its calls through the gate, and a payee."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import trio

from akshi_mesh.spend.webhook import WebhookRail
from sandbox.approvals import ApprovalRule
from sandbox.capability import Capability
from sandbox.fault import Fault
from sandbox.host.attempt import Attempt
from sandbox.hostcall import Call
from sandbox.spend import SpendPolicy
from tests.akshi_mesh.spend.desk import Desk, money
from tests.sandbox.fakes import ME, FakeNode, spec, task

GOOD: Mapping[str, object] = {
    "amount_micros": 500_000,
    "currency": "EUR",
    "rail": "ledger",
    "payee": "shop",
}
POLICY = SpendPolicy(money("2.00EUR"), money("1.00EUR"), ("ledger", "card"))


class Buyer:
    """Agents of one node; each call of `charge` is a task of its own."""

    def __init__(
        self, *, rails: Mapping[str, WebhookRail] | None = None, policy: SpendPolicy = POLICY
    ) -> None:
        self.desk = Desk({"writer": policy}, dict(rails or {}))
        self.node = FakeNode()
        self.boundary = self.node.boundary()
        self._policy = policy
        self._numbers = itertools.count(1)
        self.use()

    def use(self) -> None:
        """Take the purse as it is now: after a restart it is another one."""
        ports = replace(self.boundary.ports, purse=self.desk.purse)
        self.boundary.ports = ports

    def attempt(self, number: int, **changes: Any) -> Attempt:
        never = ApprovalRule("never")
        facts: dict[str, Any] = {"approval": {Capability.SPEND: never}, "spend": self._policy}
        run = task(number, sender=ME, originator=ME)
        return Attempt(self.boundary.desk(spec(**facts | changes)), run)

    async def charge(self, text: str | None = None, **changes: Any) -> dict[str, Any] | Fault:
        """One charge, of a new task."""
        attempt = self.attempt(next(self._numbers), **changes)
        request = json.dumps(GOOD) if text is None else text
        answer = await attempt.answer(Call(0, "spend.charge", (request,)))
        return answer if isinstance(answer, Fault) else json.loads(answer)

    def paid(self) -> int:
        """Micro-units that the shop has got by the ledger."""
        return sum(amount.micro for amount in self.desk.purse.ledger.received("shop"))


@dataclass
class Payee:
    """Somebody who is paid, slowly."""

    answers_after_s: float
    port: int = 0
    connections: int = 0
    ended: int = 0

    async def talk(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            request = b""
            while b"\r\n\r\n{" not in request or not request.endswith(b"}"):
                data = await stream.receive_some(65_536)
                if not data:
                    return
                request += data
            with trio.move_on_after(self.answers_after_s):
                if not await stream.receive_some(1):
                    return
            body = b'{"paid": true, "proof": ""}'
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            await stream.send_all(head + body)
        except trio.BrokenResourceError:
            pass
        finally:
            self.ended += 1
            await trio.aclose_forcefully(stream)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=256)
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self.talk, listeners)
