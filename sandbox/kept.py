"""How the answer of a host call is kept for a later attempt: one letter, then text.

Opaque to the store. What is the agent's own and can be got again is kept as its hash:
files, so that a guest which reads a shelf does not copy it into the node's store, and
rows of its database, whose statements are run again in a fresh transaction.
"""

import hashlib
from dataclasses import dataclass

from sandbox.capability import Capability, Effect
from sandbox.fault import Fault, FaultCode
from sandbox.request import Request

Answer = str | Fault

KEPT_CHARS_MAX = 1_024  # of what was read from a file


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that is got again and compared, by its SHA-256."""

    digest: bytes

    def fits(self, answer: str) -> bool:
        """Whether `answer` is the same again."""
        return _digest(answer) == self.digest


def keep(request: Request, answer: Answer) -> bytes:
    """The bytes to remember for `answer`."""
    if isinstance(answer, Fault):
        return f"f{answer.code.value} {answer.why}".encode()
    is_file = request.function.capability is Capability.FILESYSTEM
    if request.function.effect is Effect.STAGED or (is_file and len(answer) > KEPT_CHARS_MAX):
        return b"h" + _digest(answer)
    return b"o" + answer.encode()


def read_kept(data: bytes) -> Answer | Kept:
    """The answer that `keep` wrote, or the hash of one that is got again."""
    kind, rest = data[:1], data[1:]
    if kind == b"o":
        return rest.decode()
    if kind == b"h":
        return Kept(rest)
    assert kind == b"f", "the store gave back what we never wrote"
    code, _, why = rest.decode().partition(" ")
    return Fault(FaultCode(code), why)


def _digest(answer: str) -> bytes:
    return hashlib.sha256(answer.encode()).digest()
