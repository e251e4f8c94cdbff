"""Do what an agent was allowed to fetch: once, at the place that was checked, and tell the answer.

    leaks? ─▶ connect ─▶ secrets put in ─▶ still allowed? ─▶ send ─▶ read within limits
                                                                        │
      guest ◀── JSON ◀── secrets blotted out ◀── decompressed ◀─────────┘

Until the first byte leaves, a failure says so and nothing has happened. After that whatever
goes wrong is `unknown`: the server may have done what it was asked to, and is not asked again.
Failures never hold words of the server; those it could have chosen to echo a secret.
"""

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NoReturn
from urllib.parse import urljoin

import httpcore
import trio

from sandbox import challenge
from sandbox.answer_body import AnswerBody
from sandbox.challenge import PaymentsPort
from sandbox.endpoint import EndpointRule, Url
from sandbox.errors import (
    ActFailed,
    AuditUnavailable,
    MalformedAnswer,
    MalformedUrl,
    PortRefused,
)
from sandbox.fault import FaultCode
from sandbox.fetch import FetchOrder, told_headers, write_answer
from sandbox.net.errand import Errand, errand
from sandbox.net.errors import AddressRefused, Halted
from sandbox.net.line import Line, RawHeaders
from sandbox.net.lines import KEPT_S, Lines
from sandbox.net.names import Lookup, Resolver
from sandbox.net.tls import node_tls
from sandbox.outside import SecretsPort
from sandbox.redaction import Redactor

BODY_BYTES_MAX = 1 << 20
ANSWER_BYTES_MAX = 1 << 20  # what one host call carries
HOPS_MAX = 5  # redirects of one request
USER_AGENT = "akshi-mesh"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What may follow to another origin: all else could be a credential of the guest's own.
_HARMLESS = frozenset({"accept", "accept-language", "content-type", "user-agent"})

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Sending:
    """One request as it goes out; the first is the guest's, the others follow redirects."""

    url: Url
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    rule: EndpointRule
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, complete; `raw` is for us, nothing of it is told before it is redacted."""

    status: int
    raw: Headers
    body: bytes


class Fetcher:
    """The node's HTTP client for agents: an `HttpPort`, and a service that tidies up.

    Args:
        secrets: what is put in, and what must neither leave nor come back.
        payments: proofs of payment and challenges, or None where nothing can be paid.
        tls: how servers are checked.
        lookup: a name's addresses; the system's resolver if None.
    """

    def __init__(
        self,
        secrets: SecretsPort,
        *,
        payments: PaymentsPort | None = None,
        tls: Callable[[], ssl.SSLContext] = node_tls,
        lookup: Lookup | None = None,
    ) -> None:
        self._secrets = secrets
        self._payments = payments
        self._tls = tls
        self._lookup = lookup or Resolver()
        self._lines: dict[str, Lines] = {}

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Close what has been idle for too long, until cancelled; then close everything."""
        task_status.started()
        try:
            while True:
                await trio.sleep(KEPT_S)
                for lines in list(self._lines.values()):
                    await lines.sweep()
        finally:
            with trio.CancelScope(shield=True):
                await self.aclose()

    async def fetch(self, order: FetchOrder) -> str:
        """Send what `order` says; the answer as JSON for the guest.

        Raises:
            PortRefused: `unknown` where bytes may have left; with any other code none have.
        """
        with errand(order.still_allowed) as run:
            try:
                with trio.fail_after(order.timeout_s):
                    return await self._fetch(order)
            except PortRefused as refused:
                if run.has_left:
                    raise ActFailed(FaultCode.UNKNOWN, refused.why) from refused
                raise
            except (
                AuditUnavailable,
                Halted,
                MalformedAnswer,
                httpcore.NetworkError,
                httpcore.ProtocolError,
                httpcore.TimeoutException,
                trio.TooSlowError,
            ) as failure:
                raise _told(failure, order, run) from failure

    async def forget(self, agent: str) -> None:
        """Close the connections of an agent that is gone, or whose rules have changed."""
        lines = self._lines.pop(agent, None)
        if lines is not None:
            await lines.aclose()

    async def aclose(self) -> None:
        """Close all connections that are idle; those in use end with their requests."""
        for agent in list(self._lines):
            await self.forget(agent)

    async def _fetch(self, order: FetchOrder) -> str:
        rule = order.rule_for(order.url, order.method)
        if rule is None:
            raise ActFailed(FaultCode.NOT_ALLOWED, f"{order.url.origin} is in no rule of the agent")
        self._refuse_leaks(order)
        sending = _Sending(order.url, order.method, order.headers, order.body, rule)
        for _ in range(HOPS_MAX + 1):
            answer = await self._exchange(order, sending)
            following = _next(order, sending, answer, self._secrets)
            if following is None:
                return self._tell(order, sending.url, answer)
            sending = following
        raise MalformedAnswer(f"one more redirect after {HOPS_MAX}")

    def _refuse_leaks(self, order: FetchOrder) -> None:
        texts = [str(order.url), *(f"{name}: {value}" for name, value in order.headers)]
        found = self._secrets.leaks(order.agent, *(text.encode() for text in texts), order.body)
        if found is not None:
            raise ActFailed(FaultCode.NOT_ALLOWED, f"the request holds the secret {found}")

    async def _exchange(self, order: FetchOrder, sending: _Sending) -> _Answer:
        lines = self._lines.get(order.agent)
        if lines is None:
            lines = self._lines[order.agent] = Lines(self._tls, self._lookup)
        is_private = sending.rule.is_private
        line = await lines.take(sending.url, is_private=is_private)
        try:
            answer = await _converse(line, sending, self._headers(order, sending))
        except BaseException:
            # Cancelled, halted or broken: nobody uses this connection again.
            with trio.CancelScope(shield=True):
                await line.aclose()
            raise
        await lines.give_back(line, sending.url, is_private=is_private)
        return answer

    def _headers(self, order: FetchOrder, sending: _Sending) -> RawHeaders:
        """What goes out, secrets and proofs last: they replace whatever the guest wrote."""
        ours: Headers = []
        if sending.is_first:
            for put_in in self._secrets.injections(order.agent, sending.url, sending.method):
                ours.append((put_in.header, put_in.value))
            if order.payment is not None:
                ours.append(self._proof(order, order.payment))
        taken = {name.lower() for name, _ in ours}
        theirs = [pair for pair in sending.headers if pair[0].lower() not in taken]
        given = taken | {name.lower() for name, _ in theirs}
        url = sending.url
        host = url.origin.removeprefix(f"{url.scheme}://")
        headers: Headers = [("Host", host), ("Accept-Encoding", "identity")]
        for name, value in (("User-Agent", USER_AGENT), ("Accept", "*/*")):
            if name.lower() not in given:
                headers.append((name, value))
        if sending.body or sending.method in {"POST", "PUT", "PATCH"}:
            headers.append(("Content-Length", str(len(sending.body))))
        return [(name.encode(), value.encode()) for name, value in (*headers, *theirs, *ours)]

    def _proof(self, order: FetchOrder, payment: str) -> tuple[str, str]:
        if self._payments is None:
            raise ActFailed(FaultCode.INVALID, "nothing can be paid on this node")
        return self._payments.proof(order.agent, payment, order.url.origin)

    def _tell(self, order: FetchOrder, url: Url, answer: _Answer) -> str:
        # Made now: a value that was rotated while we connected is one of those to be found.
        redactor = self._secrets.redactor(order.agent)
        body = redactor.feed(answer.body) + redactor.finish()
        headers = {
            redactor.text(name): redactor.text(value)
            for name, value in told_headers(answer.raw).items()
        }
        text = write_answer(
            answer.status,
            headers,
            body,
            redactor.text(str(url)),
            payment_required=self._challenge(order, url, answer, redactor),
        )
        if len(text.encode()) > ANSWER_BYTES_MAX:
            raise MalformedAnswer(f"over {ANSWER_BYTES_MAX} bytes as JSON")
        return text

    def _challenge(
        self, order: FetchOrder, url: Url, answer: _Answer, redactor: Redactor
    ) -> object:
        """What the server wants to be paid, kept under an id that `spend.charge` takes."""
        asked = challenge.read(answer.status, answer.raw, answer.body)
        if asked is None or self._payments is None:
            return None
        return {
            "challenge": self._payments.challenged(order.agent, url.origin, asked),
            "amount_micros": asked.amount.micro,
            "currency": asked.amount.currency,
            "rail": asked.rail,
            "payee": redactor.text(asked.payee),
        }


async def _converse(line: Line, sending: _Sending, headers: RawHeaders) -> _Answer:
    """Send the request and read the whole answer, within BODY_BYTES_MAX."""
    status, raw = await line.ask(sending.method, sending.url.target, headers, sending.body)
    told = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]
    names = {name.lower() for name, _ in told}
    if {"transfer-encoding", "content-length"} <= names:
        # Two lengths: whoever stands between could have cut it differently. RFC 9112 §6.3.
        raise MalformedAnswer("framed in two ways")
    encodings = [value for name, value in told if name.lower() == "content-encoding"]
    is_bodiless = sending.method == "HEAD" or status in {204, 304}
    body = AnswerBody("" if is_bodiless else ",".join(encodings), bytes_max=BODY_BYTES_MAX)
    pieces: list[bytes] = []
    await line.read(lambda chunk: pieces.append(body.feed(chunk)))
    body.finish()
    return _Answer(status, told, b"".join(pieces))


def _next(
    order: FetchOrder, sending: _Sending, answer: _Answer, secrets: SecretsPort
) -> _Sending | None:
    """The request that a redirect leads to, if the rules follow it; else the redirect is told."""
    if answer.status not in _REDIRECTS or not sending.rule.follows or order.hop is None:
        return None
    location = next((value for name, value in answer.raw if name.lower() == "location"), None)
    if location is None:
        return None
    try:
        url = Url.parse(urljoin(str(sending.url), location))
    except (MalformedUrl, ValueError) as malformed:
        raise MalformedAnswer("a redirect to what is no place") from malformed
    # A server may write the secret it was sent into the place: then neither that place nor the
    # guest, in a reason, gets it by our hand.
    if secrets.leaks(order.agent, str(url).encode()) is not None:
        raise MalformedAnswer("a redirect to a place that holds a secret")
    method, body = sending.method, sending.body
    # As browsers do: a POST that was moved is fetched, and 307 and 308 repeat it. Fetch §4.4.
    if (answer.status == 303 and method != "HEAD") or (answer.status < 303 and method == "POST"):
        method, body = "GET", b""
    rule = order.rule_for(url, method)
    if rule is None or not rule.follows:
        raise MalformedAnswer("a redirect to a place that no rule allows")
    if (why := order.hop(url, method)) is not None:
        raise MalformedAnswer(f"a redirect that is not allowed: {why}")
    is_near = url.origin == sending.url.origin
    headers = tuple(_surviving(sending.headers, has_body=bool(body), is_near=is_near))
    return replace(
        sending, url=url, method=method, headers=headers, body=body, rule=rule, is_first=False
    )


def _surviving(
    headers: Iterable[tuple[str, str]], *, has_body: bool, is_near: bool
) -> Iterable[tuple[str, str]]:
    for name, value in headers:
        key = name.lower()
        if (is_near or key in _HARMLESS) and (has_body or not key.startswith("content-")):
            yield name, value


def _told(failure: Exception, order: FetchOrder, run: Errand) -> ActFailed:
    """The fault for `failure`. What a server sent is not in it."""
    match failure:
        case Halted(why=why):
            code, why = FaultCode.CANCELLED, f"stopped: {why}"
        case AddressRefused():
            code, why = FaultCode.NOT_ALLOWED, str(failure)
        case MalformedAnswer():
            code, why = FaultCode.UNKNOWN, str(failure)
        case AuditUnavailable():
            code, why = FaultCode.UNAVAILABLE, "the audit log of this node cannot be written"
        case trio.TooSlowError() | httpcore.TimeoutException():
            code, why = FaultCode.UNAVAILABLE, f"no answer within {order.timeout_s:g} s"
        case httpcore.ProtocolError():
            code, why = FaultCode.UNAVAILABLE, "what came is no HTTP answer, or broke off"
        case _:
            code, why = FaultCode.UNAVAILABLE, str(failure) or "the connection broke"
    return ActFailed(FaultCode.UNKNOWN if run.has_left else code, why)
