"""Who comes in: the listening side up to the point where a caller is known and present.

A stranger gets no byte. The operator gets a line with the stranger's DID and the command
that would let it in, unless such lines are being provoked: then even the Diffie-Hellman that
would reveal the name is saved.
"""

from collections.abc import Callable

import trio

from akshi_mesh.transport.errors import HandshakeFailed, MalformedRecord, Stranger, TurnedAway
from akshi_mesh.transport.handshake import Hail, Refusal
from akshi_mesh.transport.limits import GrantLooks, HalfOpen, StrangerLines, source_of
from akshi_mesh.transport.meet import Met, receive
from akshi_mesh.transport.ports import Entropy, GrantDesk, LinkSink
from identity.did import Did
from identity.keys import SigningKey


class Door:
    """Takes fresh connections, gives back callers that are trusted and present."""

    def __init__(
        self,
        *,
        key: SigningKey,
        network: str,
        is_trusted: Callable[[bytes], bool],
        refusal: Callable[[Hail], Refusal | None],
        sink: LinkSink,
        entropy: Entropy,
        grants: GrantDesk,
    ) -> None:
        self._key = key
        self._network = network
        self._is_trusted = is_trusted
        self._refusal = refusal
        self._sink = sink
        self._entropy = entropy
        self._grants = grants
        self._looks = GrantLooks()
        self._half_open = HalfOpen()
        self._lines = StrangerLines()
        self._lines_of_peers = StrangerLines()  # strangers who make noise must not silence these
        self._scopes: dict[int, trio.CancelScope] = {}

    async def admit(self, stream: trio.abc.Stream, host: str) -> Met | None:
        """The caller behind `stream`, or None with the stream closed and a line written."""
        admitted = self._half_open.arrive(source_of(host), trio.current_time())
        if isinstance(admitted, str):
            self._note("link.crowded", name=host, source=host, why=admitted)
            await trio.aclose_forcefully(stream)
            return None
        if admitted.dropped is not None:
            self._scopes[admitted.dropped].cancel()
        met = None
        with trio.CancelScope() as scope:
            self._scopes[admitted.ticket] = scope
            try:
                met = await self._receive(stream, host, admitted.ticket)
            finally:
                del self._scopes[admitted.ticket]
                self._half_open.leave(admitted.ticket)
                if met is None:
                    await trio.aclose_forcefully(stream)
        return met

    async def _receive(self, stream: trio.abc.Stream, host: str, ticket: int) -> Met | None:
        named: set[bytes] = set()
        ungranted = ""

        def asks_name(static: bytes) -> bool:
            if self._lines.may_write(static, trio.current_time()):
                named.add(static)
            return bool(named)

        def asks_grant() -> bool:
            return self._looks.may_look(source_of(host), trio.current_time())

        def is_granted(key: bytes, chain: bytes) -> bool:
            nonlocal ungranted
            ungranted = self._grants.why_not(key, chain) or ""
            return not ungranted

        def refusal(hail: Hail) -> Refusal | None:
            self._half_open.hailed(ticket)
            return self._refusal(hail)

        try:
            return await receive(
                stream,
                key=self._key,
                network=self._network,
                ephemeral_secret=self._entropy(32),
                is_trusted=self._is_trusted,
                asks_name=asks_name,
                refusal=refusal,
                asks_grant=asks_grant,
                is_granted=is_granted,
            )
        except Stranger as stranger:
            claimed = stranger.claimed
            if claimed and (named or self._lines.may_write(claimed, trio.current_time())):
                did = str(Did(claimed))
                hint = f"akshi-node trust add {did}"
                facts = {"why": ungranted} if ungranted else {}
                self._sink.note("link.stranger", did=did, source=host, hint=hint, **facts)
        except TurnedAway as turned:
            why = str(turned)
            if self._lines_of_peers.may_write(f"{turned.peer.hex()} {why}", trio.current_time()):
                did = str(Did(turned.peer))
                self._sink.note("link.refused", did=did, source=host, why=why)
        except (HandshakeFailed, MalformedRecord) as failure:
            self._note("link.garbled", name=host, source=host, why=str(failure))
        return None

    def _note(self, event: str, *, name: bytes | str, **facts: str) -> None:
        if self._lines.may_write(name, trio.current_time()):
            self._sink.note(event, **facts)
