"""The body of an answer, decompressed within a limit.

We ask for plain bytes. Servers that compress all the same are understood if they use
what the standard library does; a bomb ends at the limit, not in memory.
"""

import zlib
from typing import Protocol

from sandbox.errors import MalformedAnswer

_GZIP = 16 + zlib.MAX_WBITS
_WITHOUT_HEADER = -zlib.MAX_WBITS
_FIRST_BYTE_BITS = 0x0F  # RFC 1950 §2.2: CM, 8 for deflate
_DEFLATE = 8


class _Inflate(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class AnswerBody:
    """Feed what comes, in order; `finish` when all has come.

    Args:
        encoding: the Content-Encoding header, empty if there is none.
        bytes_max: of the body as it comes, and of the body as it is told.

    Raises:
        MalformedAnswer: an encoding that we do not know.
    """

    def __init__(self, encoding: str, *, bytes_max: int) -> None:
        self._encoding = encoding.strip().lower()
        self._bytes_max = bytes_max
        self._come = 0
        self._told = 0
        self._inflate: _Inflate | None = None
        if self._encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            # Not even its name is repeated: the server chose it, and may echo a secret there.
            raise MalformedAnswer("compressed in a way that nobody asked for")

    def feed(self, chunk: bytes) -> bytes:
        """What `chunk` adds to the body.

        Raises:
            MalformedAnswer: too long, or not compressed as the header says.
        """
        self._come += len(chunk)
        if self._encoding not in {"", "identity"} and chunk:
            chunk = self._inflated(chunk)
        self._told += len(chunk)
        if self._come > self._bytes_max or self._told > self._bytes_max:
            raise MalformedAnswer(f"over {self._bytes_max} bytes")
        return chunk

    def finish(self) -> None:
        """Raise `MalformedAnswer` if the compressed body ended in the middle."""
        if self._inflate is not None and not self._inflate.eof:
            raise MalformedAnswer("cut off in its compressed body")

    def _inflated(self, chunk: bytes) -> bytes:
        if self._inflate is None:
            self._inflate = zlib.decompressobj(self._window(chunk[0]))
        if self._inflate.eof:
            raise MalformedAnswer("longer than its compressed body")
        try:
            plain = self._inflate.decompress(chunk, self._bytes_max + 1 - self._told)
        except zlib.error as failure:
            raise MalformedAnswer(f"not what {self._encoding} gives") from failure
        if self._inflate.unused_data:
            raise MalformedAnswer("longer than its compressed body")
        return plain

    def _window(self, first: int) -> int:
        if self._encoding != "deflate":
            return _GZIP
        # By the RFC deflate has a zlib header; many a server leaves it out.
        return zlib.MAX_WBITS if first & _FIRST_BYTE_BITS == _DEFLATE else _WITHOUT_HEADER
