"""Our own hand: seals envelopes for one key and one network.

Pure: randomness is handed in. Two envelopes of one author never share a nonce, so two tasks with
the same words are still two tasks.
"""

from collections.abc import Callable

from identity import envelope
from identity.envelope import Kind
from identity.keys import SigningKey
from sync.clock import Moment


class Author:
    """Holds a signing key; `seal` is the only thing it does with it."""

    def __init__(self, key: SigningKey, *, network: str, nonce: Callable[[], bytes]) -> None:
        """Sign for `network`; `nonce` gives 16 fresh random bytes a call."""
        self._key = key
        self._network = network
        self._nonce = nonce

    @property
    def public_key(self) -> bytes:
        return self._key.public_key

    def nonce(self) -> bytes:
        """16 fresh random bytes, for whoever needs a name nobody else has."""
        return self._nonce()

    def seal(
        self,
        kind: Kind,
        body: bytes,
        *,
        now: Moment,
        audience: bytes | None = None,
        topic: str | None = None,
        in_reply_to: bytes | None = None,
        expires_ms: int | None = None,
    ) -> tuple[bytes, bytes]:
        """The id and the bytes of a new envelope, issued now."""
        return envelope.seal_with_id(
            self._key,
            kind=kind,
            body=body,
            network=self._network,
            nonce=self._nonce(),
            issued_ms=now.wall_ms,
            expires_ms=expires_ms,
            audience=audience,
            topic=topic,
            in_reply_to=in_reply_to,
        )
