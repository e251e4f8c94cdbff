"""Our own hand signs what it is given, under an id that others compute."""

import itertools

from identity.envelope import Kind, open_envelope
from identity.keys import SigningKey
from sync.author import Author
from sync.clock import Moment

KEY = SigningKey.from_seed(b"a" * 32)
NOW = Moment(mono_s=1.0, wall_ms=1_700_000_000_000)


def test_the_id_is_the_one_its_reader_computes() -> None:
    numbers = itertools.count()
    author = Author(KEY, network="test", nonce=lambda: next(numbers).to_bytes(16, "big"))
    peer = SigningKey.from_seed(b"b" * 32).public_key
    sealed = [
        author.seal(Kind.TASK, b"body", now=NOW, audience=peer, expires_ms=NOW.wall_ms + 1)
        for _ in range(2)
    ]
    assert sealed[0][0] != sealed[1][0], "same words, two envelopes"
    for envelope_id, data in sealed:
        envelope = open_envelope(data, network="test", me=peer, now_ms=NOW.wall_ms)
        assert envelope.id == envelope_id
        assert envelope.author == author.public_key == KEY.public_key
        assert envelope.issued_ms == NOW.wall_ms
    assert author.nonce() == (2).to_bytes(16, "big")
