"""A body is the same however it is cut, and never larger than its limit."""

import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.answer_body import AnswerBody
from sandbox.errors import MalformedAnswer


def fed(encoding: str, *chunks: bytes, bytes_max: int = 1_000) -> bytes:
    body = AnswerBody(encoding, bytes_max=bytes_max)
    plain = b"".join(map(body.feed, chunks))
    body.finish()
    return plain


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.binary(max_size=300), st.integers(1, 50))
def test_however_it_is_cut(data: bytes, size: int) -> None:
    assert fed("", *cut(data, size)) == data
    assert fed("gzip", *cut(gzip.compress(data), size), b"") == data
    assert fed("deflate", *cut(zlib.compress(data), size)) == data
    bare = zlib.compressobj(wbits=-15)
    assert fed("deflate", *cut(bare.compress(data) + bare.flush(), size)) == data


@given(st.sampled_from(["gzip", "deflate"]), st.lists(st.binary(max_size=50), max_size=5))
def test_any_bytes_give_a_body_or_an_error(encoding: str, chunks: list[bytes]) -> None:
    with contextlib.suppress(MalformedAnswer):
        fed(encoding, *chunks)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip;q=1", "compress"])
def test_unknown_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(MalformedAnswer):
        AnswerBody(encoding, bytes_max=1)


def test_the_limit_is_exact() -> None:
    assert fed("", b"x" * 500, b"y" * 500) == b"x" * 500 + b"y" * 500
    assert fed("gzip", gzip.compress(b"x" * 1_000)) == b"x" * 1_000
    for encoding, data in (("", b"x" * 1_001), ("gzip", gzip.compress(b"x" * 1_001))):
        with pytest.raises(MalformedAnswer, match="over 1000 bytes"):
            fed(encoding, data)


def test_a_bomb_ends_at_the_limit() -> None:
    bomb = gzip.compress(bytes(100 << 20), compresslevel=1)
    body = AnswerBody("gzip", bytes_max=1_000_000)
    tracemalloc.start()
    with pytest.raises(MalformedAnswer, match="over 1000000 bytes"):
        body.feed(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_what_is_cut_off_or_goes_on_is_refused() -> None:
    data = gzip.compress(b"hello")
    for chunks in ((data[:-1],), (data, b"x"), (data + b"x",), (data + data,)):
        with pytest.raises(MalformedAnswer):
            fed("gzip", *chunks)
