"""CIDs of WebAssembly files: the same text as everybody's tools, and one spelling."""

import base64
import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.cid import wasm_cid, wasm_digest
from identity.errors import MalformedCid

EMPTY = wasm_cid(hashlib.sha256(b"").digest())


@given(st.binary(min_size=32, max_size=32))
def test_both_ways_and_by_hand(digest: bytes) -> None:
    by_hand = base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")
    assert wasm_cid(digest) == "b" + by_hand
    assert wasm_digest(wasm_cid(digest)) == digest


@given(st.text() | st.text("abcdefgz234567", min_size=52, max_size=52).map("bafkrei".__add__))
def test_any_text_gives_a_digest_or_malformed(text: str) -> None:
    try:
        digest = wasm_digest(text)
    except MalformedCid:
        return
    assert wasm_cid(digest) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY.upper(),
        EMPTY + "\n",
        EMPTY[:-1],
        EMPTY[:-1] + "z",  # bits beyond the last byte
        "bafybei" + EMPTY[7:],  # another codec
        "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",  # version 0
        None,
        b"bafkrei",
    ],
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(MalformedCid):
        wasm_digest(text)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33), bytearray(32)])
def test_a_digest_is_32_bytes(digest: bytes) -> None:
    with pytest.raises(MalformedCid):
        wasm_cid(digest)


TWO_AT_ONCE = """
import sys, threading, time
from multiformats.multibase import raw
from identity.cid import wasm_cid, wasm_digest

name = wasm_cid(bytes(32))
register = raw.register
def slowly(*args, **kwargs):
    time.sleep(0.05)
    register(*args, **kwargs)
raw.register = slowly

failures = []
threading.excepthook = failures.append
threads = [threading.Thread(target=wasm_digest, args=(name,)) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit(len(failures))
"""


def test_two_threads_may_read_a_name_at_once() -> None:
    """A node may read a name in a thread, and answers its owner meanwhile."""
    assert subprocess.run([sys.executable, "-c", TWO_AT_ONCE], check=False).returncode == 0
