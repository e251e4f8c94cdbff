"""How long one answer of 1 MiB takes that is searched for twenty secrets, in all spellings.

JSON text with escapes of every kind, so that no spelling is left out for want of its sign; it
arrives in pieces of 64 KiB, as from a socket, and holds none of the secrets.
"""

import hashlib
import time

from bench.figure import Promise, Sample
from sandbox.redaction import Redactor, Watch

SECRETS = 20
BODY_BYTES = 1 << 20
PIECE_BYTES = 64 << 10
_ITEM = b'{"title":"tea \\u0026 toast","html":"a &amp; b","link":"https:\\/\\/x.example\\/%20"},'


def measure() -> Sample:
    values = [hashlib.sha256(bytes([n])).hexdigest()[:40].encode() for n in range(SECRETS)]
    watches = [Watch.over(f"secret-{n}", value) for n, value in enumerate(values)]
    body = (_ITEM * (BODY_BYTES // len(_ITEM) + 1))[:BODY_BYTES]
    redactor = Redactor(watches)
    began = time.perf_counter()
    clean = [redactor.feed(body[at : at + PIECE_BYTES]) for at in range(0, len(body), PIECE_BYTES)]
    clean.append(redactor.finish())
    spent_ms = (time.perf_counter() - began) * 1e3
    assert b"".join(clean) == body
    return Sample(spent_ms)


PROMISE = Promise("redaction_1mib_20_secrets_ms", "ms", must=50, stretch=15, measure=measure)
