"""The service that holds this node's links: listens, dials, and closes what is not trusted.

One nursery holds everything: the listener, a task per connection that is being made, a task
per live link, a timer for the keeper, and one tick a second for all links together (pings,
old age, trust that ended). What to dial and which of two links to keep is `keeper.py`'s;
what a connection may cost before it is known is `limits.py`'s.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn, TypeAlias, assert_never

import trio

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.door import Door
from akshi_mesh.transport.errors import (
    DialFailed,
    HandshakeFailed,
    MalformedRecord,
    NotTrustedHere,
    Refused,
    StaleStamp,
    StampAhead,
    Unreachable,
    WrongPeer,
)
from akshi_mesh.transport.handshake import STAMP_AHEAD_MAX, Hail, Reason, Refusal
from akshi_mesh.transport.keeper import (
    Adopt,
    CancelDial,
    Closed,
    CloseLink,
    Dial,
    DialEnded,
    Effect,
    Event,
    Forgotten,
    Keeper,
    Kept,
    Opened,
)
from akshi_mesh.transport.link import Link
from akshi_mesh.transport.meet import Met, introduce
from akshi_mesh.transport.ports import (
    Chance,
    Entropy,
    GrantDesk,
    LinkInfo,
    LinkSink,
    LinkState,
    NoGrants,
    StampStore,
)
from akshi_mesh.transport.tcp import TcpStream, bound_address, connect_tcp, listen_tcp
from identity.did import Did
from identity.keys import SigningKey

LINKS_MAX = 1_024  # beyond it a trusted peer hears "busy"
TICK_S = 1.0

_NO_GRANTS: Final = NoGrants()

Connect: TypeAlias = Callable[[Address], Awaitable[trio.abc.Stream]]


@dataclass(frozen=True, slots=True)
class _Live:
    peer: bytes
    link: Link
    address: str
    dialled_by_us: bool


class Links:
    """A service: construct, then ``await nursery.start(partial(links.run, listen=...))``.

    Args:
        key: this node's.
        network: the network's name; other networks' handshakes do not open here.
        trust: who is trusted now, by key and wall clock in ms; None for nobody.
        stamps: where handshake stamps are kept.
        sink: who hears of links and takes what arrives.
        wall_ms: the wall clock.
        random: for jitter.
        grants: what is shown at the door, by others and by us.
        connect: opens a stream to an address; TCP unless a test or a tunnel hands in another.
        entropy: for ephemeral keys.
    """

    def __init__(
        self,
        *,
        key: SigningKey,
        network: str,
        trust: Callable[[bytes, int], object | None],
        stamps: StampStore,
        sink: LinkSink,
        wall_ms: Callable[[], int],
        random: Chance,
        grants: GrantDesk = _NO_GRANTS,
        connect: Connect = connect_tcp,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._key = key
        self._network = network
        self._trust = trust
        self._stamps = stamps
        self._sink = sink
        self._wall_ms = wall_ms
        self._connect = connect
        self._entropy = entropy
        self._grants = grants
        self._keeper = Keeper(key.public_key, random)
        self._door = Door(
            key=key,
            network=network,
            is_trusted=self._is_trusted,
            refusal=self._refusal,
            sink=sink,
            entropy=entropy,
            grants=grants,
        )
        self._nursery: trio.Nursery | None = None
        self._rearm = trio.Event()
        self._last_link = 0
        self._live: dict[int, _Live] = {}
        self._current: dict[bytes, int] = {}
        self._dials: dict[bytes, trio.CancelScope] = {}
        self._failures: dict[bytes, DialFailed] = {}
        self._bans: dict[bytes, int] = {}

    async def run(
        self,
        *,
        listen: Address | None,
        task_status: trio.TaskStatus[Address | None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Hold links until cancelled; started with the address that is listened on.

        Raises:
            ListenRefused: the address is taken or not ours.
        """
        listeners = await listen_tcp(listen) if listen else []
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            if listeners:
                accept = partial(trio.serve_listeners, self._accept_tcp, listeners)
                nursery.start_soon(partial(accept, handler_nursery=nursery))
            nursery.start_soon(self._wake_keeper)
            nursery.start_soon(self._tick)
            task_status.started(bound_address(listeners[0]) if listeners else None)
            await trio.sleep_forever()
        raise AssertionError("unreachable: the nursery ends only by raising")

    def keep(self, peer: bytes, addresses: Sequence[Address]) -> None:
        """Hold a link to `peer` until `forget`; without addresses, wait for it to dial.

        Raises:
            SelfDial: `peer` is this node.
        """
        self._tell(Kept(peer, tuple(addresses)))

    def forget(self, peer: bytes, why: str) -> None:
        """Close the link to `peer` now, and stop dialling it."""
        self._tell(Forgotten(peer, why))
        self._failures.pop(peer, None)

    def ban(self, peer: bytes, *, until_ms: int, why: str) -> None:
        """Close the link to `peer`, and refuse it with the reason until `until_ms`."""
        self._bans[peer] = until_ms
        number = self._current.get(peer)
        if number is not None:
            self._close(number, why)

    def send(self, peer: bytes, message_type: int, body: bytes) -> bool:
        """Queue a message; False if there is no live link or its queue is full."""
        number = self._current.get(peer)
        return number is not None and self._live[number].link.send(message_type, body)

    def links(self) -> list[LinkInfo]:
        """Every peer with a link, or kept without one."""
        return [self._info(peer) for peer in self._keeper.kept()]

    async def accept(self, stream: trio.abc.Stream, host: str) -> None:
        """Serve one incoming connection until it ends."""
        met = await self._door.admit(stream, host)
        if met is None:
            return
        if met.grant:
            self._grants.take(met.peer, met.grant)
        # Known and present. All may have changed since message 1, so it is asked again.
        if not (self._is_trusted(met.peer) and self._stamps.accept(met.peer, met.stamp)):
            await trio.aclose_forcefully(stream)
            return
        await self._hold(stream, met, host, dialled_by_us=False)

    async def _accept_tcp(self, stream: trio.SocketStream) -> None:
        try:
            host = stream.socket.getpeername()[0]
        except OSError:  # gone before it was looked at
            await trio.aclose_forcefully(stream)
            return
        await self.accept(TcpStream(stream), host)

    def _is_trusted(self, peer: bytes) -> bool:
        return self._trust(peer, self._wall_ms()) is not None

    def _refusal(self, hail: Hail) -> Refusal | None:
        until_ms = self._bans.get(hail.key, 0)
        if until_ms > self._wall_ms():
            return Refusal(Reason.BANNED, until_ms)
        highest = self._stamps.highest(hail.key)
        if hail.stamp <= highest:
            return Refusal(Reason.STALE, highest)
        if hail.key not in self._current and len(self._current) >= LINKS_MAX:
            return Refusal(Reason.BUSY)
        return None

    async def _hold(
        self, stream: trio.abc.Stream, met: Met, address: str, *, dialled_by_us: bool
    ) -> None:
        self._last_link += 1
        number, peer = self._last_link, met.peer
        link = Link(
            stream,
            met,
            deliver=partial(self._sink.messages, peer),
            on_room=partial(self._sink.link_room, peer),
        )
        self._live[number] = _Live(peer, link, address, dialled_by_us)
        self._tell(Opened(peer, number, dialled_by_us))
        why = "the node is stopping"
        try:
            why = await link.run()
        finally:
            self._leave(number, why)
            del self._live[number]
            self._tell(Closed(peer, number))

    async def _dial(self, peer: bytes, addresses: tuple[Address, ...]) -> None:
        opened = None
        with trio.CancelScope() as scope:
            self._dials[peer] = scope
            try:
                opened = await self._try(peer, addresses)
            except DialFailed as failure:
                self._note_failure(peer, failure)
                self._tell(DialEnded(peer, failure.pause_s))
            finally:
                if self._dials.get(peer) is scope:
                    del self._dials[peer]
        if opened:
            stream, met, address = opened
            if scope.cancel_called:
                await trio.aclose_forcefully(stream)
            else:
                await self._hold(stream, met, str(address), dialled_by_us=True)

    async def _try(
        self, peer: bytes, addresses: tuple[Address, ...]
    ) -> tuple[trio.abc.Stream, Met, Address]:
        """The first address that leads to the peer. Its own refusal outranks a dead address."""
        if not self._is_trusted(peer):
            raise NotTrustedHere(str(Did(peer)))
        ban_s = (self._bans.get(peer, 0) - self._wall_ms()) / 1000
        if ban_s > 0:
            raise Refused("this node has banned it", pause_s=ban_s)
        worst: DialFailed = Unreachable("no address is known")
        for address in addresses:
            try:
                stream, met = await self._introduce(peer, address)
            except Unreachable as failure:
                worst = failure if isinstance(worst, Unreachable) else worst
            except DialFailed as failure:
                worst = failure
            else:
                return stream, met, address
        raise worst

    async def _introduce(self, peer: bytes, address: Address) -> tuple[trio.abc.Stream, Met]:
        try:
            return await self._introduce_once(peer, address, above=0)
        except StaleStamp as stale:
            # Our clock went back, or our stamps were lost. Its word is authenticated, not true.
            ahead = stale.highest - self._wall_ms() * 1_000
            if ahead > STAMP_AHEAD_MAX:
                raise StampAhead(ahead // STAMP_AHEAD_MAX) from stale
            return await self._introduce_once(peer, address, above=stale.highest)

    async def _introduce_once(
        self, peer: bytes, address: Address, *, above: int
    ) -> tuple[trio.abc.Stream, Met]:
        stream = await self._connect(address)
        met = None
        try:
            met = await introduce(
                stream,
                key=self._key,
                peer=peer,
                network=self._network,
                stamp=self._stamps.next_stamp(peer, above=above),
                ephemeral_secret=self._entropy(32),
                now_ms=self._wall_ms(),
                grant=self._grants.chain_for(peer),
            )
        except (HandshakeFailed, MalformedRecord) as failure:
            raise WrongPeer(str(Did(peer)), str(address)) from failure
        finally:
            if met is None:
                await trio.aclose_forcefully(stream)
        return stream, met

    def _note_failure(self, peer: bytes, failure: DialFailed) -> None:
        last = self._failures.get(peer)
        self._failures[peer] = failure
        if last is None or str(last) != str(failure):
            hint = {"hint": failure.hint} if failure.hint else {}
            self._sink.note("link.unreached", did=str(Did(peer)), why=str(failure), **hint)

    def _tell(self, event: Event) -> None:
        for effect in self._keeper.handle(event, trio.current_time()):
            self._perform(effect)
        self._rearm.set()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Dial(peer, addresses):
                assert self._nursery is not None, "dials come from the keeper's timer"
                self._nursery.start_soon(self._dial, peer, addresses)
            case CancelDial(peer):
                if peer in self._dials:
                    self._dials[peer].cancel()
            case Adopt(peer, link):
                self._current[peer] = link
                self._failures.pop(peer, None)
                self._sink.link_up(peer)
            case CloseLink(link, why):
                self._close(link, why)
            case _:
                assert_never(effect)

    def _close(self, number: int, why: str) -> None:
        live = self._live[number]
        self._leave(number, why)
        # Who is trusted no more is told nothing, as at the door.
        live.link.close(why, farewell=self._is_trusted(live.peer))

    def _leave(self, number: int, why: str) -> None:
        """From now on this link is not the peer's; said once."""
        peer = self._live[number].peer
        if self._current.get(peer) == number:
            del self._current[peer]
            self._sink.link_down(peer, why)

    async def _wake_keeper(self) -> None:
        while True:
            self._rearm = trio.Event()
            with trio.move_on_at(self._keeper.deadline):
                await self._rearm.wait()
            for effect in self._keeper.wake(trio.current_time()):
                self._perform(effect)

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            now = trio.current_time()
            for number, live in list(self._live.items()):
                if self._is_trusted(live.peer):
                    live.link.tick(now)
                else:
                    self._close(number, "it is trusted no more")

    def _info(self, peer: bytes) -> LinkInfo:
        number = self._current.get(peer)
        live = self._live[number] if number is not None else None
        failure = self._failures.get(peer)
        state: LinkState = "waiting"
        if live:
            state = "up"
        elif self._keeper.is_dialling(peer):
            state = "dialling"
        return LinkInfo(
            peer=peer,
            state=state,
            address=live.address if live else None,
            dialled_by_us=live.dialled_by_us if live else False,
            since_s=live.link.age_s if live else 0.0,
            last_failure=str(failure) if failure else None,
            hint=failure.hint if failure else None,
            bytes_sent=live.link.bytes_sent if live else 0,
            bytes_received=live.link.bytes_received if live else 0,
        )
